package webhook

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// answers stands in for the API server's reviews.
type answers struct {
	authorizationclient.SubjectAccessReviewInterface
	answer func(*authorizationv1.ResourceAttributes) (bool, error)
	asked  atomic.Pointer[authorizationv1.SubjectAccessReviewSpec] // last
}

func (a *answers) Create(_ context.Context, review *authorizationv1.SubjectAccessReview, _ metav1.CreateOptions) (*authorizationv1.SubjectAccessReview, error) {
	a.asked.Store(&review.Spec)
	allowed, err := a.answer(review.Spec.ResourceAttributes)
	answered := review.DeepCopy()
	answered.Status.Allowed = allowed
	return answered, err
}

func by(t *testing.T, user string) context.Context {
	t.Helper()
	var request admission.Request
	request.UserInfo = authenticationv1.UserInfo{Username: user, UID: "u-1", Groups: []string{"team"}, Extra: map[string]authenticationv1.ExtraValue{"scopes": {"a"}}}
	return admission.NewContextWithRequest(t.Context(), request)
}

// delegated is a workspace that requires delegation, and a key, an account and a personal token of it.
func delegated() (*v1alpha1.Workspace, *v1alpha1.ApiKey, *v1alpha1.ServiceAccount, *v1alpha1.ApiKey) {
	meta := metav1.ObjectMeta{Namespace: "team", Name: "shop"}
	shop := v1alpha1.LocalReference{Name: "shop"}
	two := []v1alpha1.Scope{"orders:read", "orders:write"}
	w := &v1alpha1.Workspace{ObjectMeta: meta, Spec: v1alpha1.WorkspaceSpec{Keys: v1alpha1.KeyPolicy{Delegation: v1alpha1.DelegationRequired}}}
	key := &v1alpha1.ApiKey{ObjectMeta: meta, Spec: v1alpha1.ApiKeySpec{WorkspaceRef: shop, Scopes: two}}
	account := &v1alpha1.ServiceAccount{ObjectMeta: meta, Spec: v1alpha1.ServiceAccountSpec{WorkspaceRef: shop, Scopes: two}}
	personal := key.DeepCopy()
	personal.Spec.Scopes, personal.Spec.Entity = nil, &v1alpha1.Entity{Kind: v1alpha1.EntityUser, ID: "john"}
	return w, key, account, personal
}

func TestWhatCannotBeAskedIsRefusedForNow(t *testing.T) {
	away := errors.New("connection refused")
	atOnce := func(*authorizationv1.ResourceAttributes) (bool, error) { return false, away }
	half := func(what *authorizationv1.ResourceAttributes) (bool, error) {
		if what.Name == "orders:write" {
			return false, away
		}
		return what.Name != "", nil
	}
	shop, key, account, personal := delegated()
	read := broken(t, interceptor.Funcs{}, shop)
	without := key.DeepCopy()
	without.Spec.Scopes = nil
	free := shop.DeepCopy()
	free.Spec.Keys.Delegation = v1alpha1.DelegationNone
	for _, c := range []struct {
		name   string
		answer func(*authorizationv1.ResourceAttributes) (bool, error)
		ask    func(context.Context, asker) error
	}{
		{"a new key", atOnce, func(ctx context.Context, a asker) error {
			return apiKeys{reader: read, asker: a, now: time.Now}.entitled(ctx, nil, key, shop)
		}},
		{"a new key, half asked about", half, func(ctx context.Context, a asker) error {
			return apiKeys{reader: read, asker: a, now: time.Now}.entitled(ctx, nil, key, shop)
		}},
		{"a changed key", atOnce, func(ctx context.Context, a asker) error {
			_, err := apiKeys{reader: read, asker: a, now: time.Now}.ValidateUpdate(ctx, without, key)
			return err
		}},
		{"a personal token of another", atOnce, func(ctx context.Context, a asker) error {
			return apiKeys{reader: read, asker: a, now: time.Now}.entitled(ctx, nil, personal, nil)
		}},
		{"a new account", half, func(ctx context.Context, a asker) error {
			_, err := serviceAccounts{reader: read, asker: a, now: time.Now}.ValidateCreate(ctx, account)
			return err
		}},
		{"a workspace that requires delegation no longer", atOnce, func(ctx context.Context, a asker) error {
			_, err := workspaces{reader: read, asker: a}.ValidateUpdate(ctx, shop, free)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.ask(by(t, "jane"), asker{&answers{answer: c.answer}})
			if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "try again") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("nobody whom the request names", func(t *testing.T) {
		a := asker{&answers{answer: func(*authorizationv1.ResourceAttributes) (bool, error) { return true, nil }}}
		if err := (apiKeys{reader: read, asker: a, now: time.Now}).entitled(t.Context(), nil, key, shop); err == nil {
			t.Error("it was let through")
		}
	})
}

func TestAQuestionIsAboutTheWholeUserAndOneScope(t *testing.T) {
	shop, key, _, _ := delegated()
	key.Spec.Scopes = key.Spec.Scopes[:1]
	given := &answers{answer: func(what *authorizationv1.ResourceAttributes) (bool, error) { return what.Name != "", nil }}
	if err := (apiKeys{asker: asker{given}}).entitled(by(t, "jane"), nil, key, shop); err != nil {
		t.Fatal(err)
	}
	want := &authorizationv1.SubjectAccessReviewSpec{
		User: "jane", UID: "u-1", Groups: []string{"team"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "grant", Group: "keys.claviger.dev", Version: "v1alpha1", Resource: "scopes", Namespace: "team", Name: "orders:read",
		},
	}
	if got := given.asked.Load(); !reflect.DeepEqual(got, want) {
		t.Errorf("asked %+v, want %+v", got, want)
	}
}

// A key may name hundreds of scopes: they must not all be asked about at one moment.
func TestFewQuestionsAreUnderWayAtOnce(t *testing.T) {
	var underWay, most atomic.Int32
	all, once := make(chan struct{}), sync.Once{}
	given := &answers{answer: func(*authorizationv1.ResourceAttributes) (bool, error) {
		n := underWay.Add(1)
		defer underWay.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		if n == questionsAtOnce {
			once.Do(func() { close(all) }) // each place is taken
		}
		<-all
		return true, nil
	}}
	names := strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ")
	allowed, err := asker{given}.mayAll(t.Context(), admission.Request{}, authorizationv1.ResourceAttributes{}, names)
	if err != nil || len(allowed) != len(names) || most.Load() != questionsAtOnce {
		t.Errorf("%d at once, answers %v, %v", most.Load(), allowed, err)
	}
}

func TestAWorkspaceThatCannotBeLookedAtIsDeleted(t *testing.T) {
	shop, _, _, _ := delegated()
	warnings, err := workspaces{reader: broken(t, interceptor.Funcs{}, shop)}.ValidateDelete(t.Context(), shop) // without an index
	if err != nil || len(warnings) != 1 {
		t.Errorf("got %q, %v", warnings, err)
	}
}
