package webhook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// broken answers no question but those about what is in it.
func broken(t *testing.T, what interceptor.Funcs, objects ...client.Object) reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(what).Build()
	return reader{cached: c, live: c}
}

func TestWhatCannotBeReadIsRefusedForNow(t *testing.T) {
	away := errors.New("connection refused")
	noGet := interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return away
	}}
	noList := interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return away
	}}
	one := int32(1)
	key := &v1alpha1.ApiKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "key"},
		Spec:       v1alpha1.ApiKeySpec{WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}},
	}
	shop := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"},
		Spec: v1alpha1.WorkspaceSpec{Keys: v1alpha1.KeyPolicy{MaxKeys: &one}}}
	account := &v1alpha1.ServiceAccount{ObjectMeta: key.ObjectMeta, Spec: v1alpha1.ServiceAccountSpec{WorkspaceRef: key.Spec.WorkspaceRef}}

	for _, c := range []struct {
		name string
		ask  func() error
	}{
		{"a workspace, for a new key", func() error {
			_, err := apiKeys{reader: broken(t, noGet), now: time.Now}.ValidateCreate(t.Context(), key)
			return err
		}},
		{"a workspace, for a changed key", func() error {
			_, err := apiKeys{reader: broken(t, noGet), now: time.Now}.ValidateUpdate(t.Context(), key, key)
			return err
		}},
		{"the other keys", func() error {
			_, err := apiKeys{reader: broken(t, noList, shop), now: time.Now}.ValidateCreate(t.Context(), key)
			return err
		}},
		{"a workspace, for a new account", func() error {
			_, err := serviceAccounts{reader: broken(t, noGet)}.ValidateCreate(t.Context(), account)
			return err
		}},
		{"a workspace, for a changed account", func() error {
			_, err := serviceAccounts{reader: broken(t, noGet)}.ValidateUpdate(t.Context(), account, account)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.ask()
			if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "try again") {
				t.Errorf("got %v", err)
			}
		})
	}

	t.Run("a revocation does not ask", func(t *testing.T) {
		revoked := key.DeepCopy()
		revoked.Spec.State = v1alpha1.KeyRevoked
		if _, err := (apiKeys{reader: broken(t, noGet), now: time.Now}).ValidateUpdate(t.Context(), key, revoked); err != nil {
			t.Error(err)
		}
	})
	t.Run("a warning is left out", func(t *testing.T) {
		limited := shop.DeepCopy()
		limited.Spec.LimitRefs = []v1alpha1.LocalReference{{Name: "minute"}}
		warnings, err := workspaces{reader: broken(t, noGet)}.ValidateCreate(t.Context(), limited)
		if len(warnings) > 0 || err != nil {
			t.Errorf("got %q, %v", warnings, err)
		}
	})
}
