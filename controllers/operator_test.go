package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// running is an operator as cmd/claviger runs it, without webhook and leader election.
type running struct {
	ctrl.Manager
	stop func()
	mu   sync.Mutex
	// writes are the requests that were no reads, "METHOD path".
	writes []string
}

// start starts one that sees the given namespaces alone, because other tests leave ApiKeys behind.
func start(t *testing.T, operator string, namespaces ...string) *running {
	t.Helper()
	o := &running{}
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			if request.Method != http.MethodGet {
				o.mu.Lock()
				o.writes = append(o.writes, request.Method+" "+request.URL.Path)
				o.mu.Unlock()
			}
			return next.RoundTrip(request)
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	o.Manager, err = ctrl.NewManager(config, managerOptions(namespaces))
	if err == nil {
		err = fieldindex.Register(ctx, o.GetFieldIndexer())
	}
	if err == nil {
		err = controllers.Setup(ctx, o.Manager, controllers.Options{Namespace: operator})
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- o.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(o.stop)
	return o
}

func managerOptions(namespaces []string) ctrl.Options {
	caches := controllers.CacheOptions()
	caches.DefaultNamespaces = map[string]cache.Config{}
	for _, namespace := range namespaces {
		caches.DefaultNamespaces[namespace] = cache.Config{}
	}
	return ctrl.Options{
		Scheme:  scheme,
		Cache:   caches,
		Client:  controllers.ClientOptions(),
		Metrics: server.Options{BindAddress: "0"},
		// Several operators run in this process, one after the other.
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// written are the writes so far whose path holds a text.
func (o *running) written(part string) (found []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, write := range o.writes {
		if strings.Contains(write, part) {
			found = append(found, write)
		}
	}
	return found
}

// quiet waits until the operator has stopped writing.
func (o *running) quiet(t *testing.T) {
	t.Helper()
	last := -1
	eventually(t, func() string {
		o.mu.Lock()
		now := len(o.writes)
		o.mu.Unlock()
		if now != last {
			last = now
			time.Sleep(2 * time.Second) // the longest that anything waits to be counted anew, twice
			return "the operator does not stop writing"
		}
		return ""
	})
}

func TestTheOperatorAtWork(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	o := start(t, operator, ns)

	// A key that waits for what it names is issued when that comes.
	key := newKey(ns, "key", "shop", func(s *v1alpha1.ApiKeySpec) {
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.LimitRefs = []v1alpha1.LocalReference{{Name: "standard"}}
	})
	create(t, key)
	awaitReason(t, key, v1alpha1.ReasonWorkspaceNotFound)
	workspace := newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = []v1alpha1.LocalReference{{Name: "whole"}} })
	create(t, workspace)
	awaitReason(t, key, v1alpha1.ReasonServiceAccountNotFound)
	account := newAccount(ns, "robot", "shop")
	create(t, account)
	awaitReason(t, key, v1alpha1.ReasonKeyLimitNotFound)
	limit, whole := newLimit(ns, "standard"), newLimit(ns, "whole")
	create(t, limit)
	create(t, whole)
	awaitReason(t, key, v1alpha1.ReasonReconciled)
	oneKey(t, operator, key)

	// What is declared after all that costs three writes, and no Event.
	o.quiet(t)
	second := newKey(ns, "second", "shop")
	create(t, second)
	awaitState(t, second, v1alpha1.ReasonActive)
	o.quiet(t)
	if writes := append(o.written("/second"), append(o.written("events"), o.written(operator+"/secrets")...)...); len(o.written("/apikeys/second")) != 1 || len(o.written("events")) != 0 ||
		len(o.written("namespaces/"+operator+"/secrets")) != 2 || len(o.written("namespaces/"+ns+"/secrets")) != 2 {
		t.Errorf("two keys took these writes: %q", writes)
	}

	// Suspension shows on the keys, and is counted.
	counts := func(want v1alpha1.KeyCounts) {
		t.Helper()
		eventually(t, func() string {
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(workspace), workspace); err != nil || workspace.Status.Keys != want {
				return fmt.Sprintf("the workspace counts %+v, want %+v (%v)", workspace.Status.Keys, want, err)
			}
			return ""
		})
	}
	counts(v1alpha1.KeyCounts{Total: 2, Active: 2})
	if workspace.Status.ID != ns+"/shop" || !meta.IsStatusConditionTrue(workspace.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("workspace status %+v", workspace.Status)
	}
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Suspended = true })
	awaitState(t, second, v1alpha1.ReasonWorkspaceSuspended)
	counts(v1alpha1.KeyCounts{Total: 2})
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Suspended = false })
	counts(v1alpha1.KeyCounts{Total: 2, Active: 2})
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Suspended = true })
	awaitState(t, key, v1alpha1.ReasonServiceAccountSuspended)
	change(t, account, func(a *v1alpha1.ServiceAccount) { a.Spec.Suspended = false })
	awaitState(t, key, v1alpha1.ReasonActive)

	// Ends, by time or on purpose, are counted, too.
	change(t, second, func(k *v1alpha1.ApiKey) { k.Spec.ExpiresAt = &metav1.Time{Time: time.Now().Add(2 * time.Second)} })
	awaitState(t, second, v1alpha1.ReasonExpired)
	counts(v1alpha1.KeyCounts{Total: 2, Active: 1, Expired: 1})
	change(t, key, func(k *v1alpha1.ApiKey) { k.Spec.State = v1alpha1.KeyRevoked })
	counts(v1alpha1.KeyCounts{Total: 2, Expired: 1, Revoked: 1})
	eventually(t, func() string {
		for _, l := range []*v1alpha1.KeyLimit{limit, whole} {
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(l), l); err != nil {
				return err.Error()
			}
		}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(account), account); err != nil {
			return err.Error()
		}
		if limit.Status.AttachedKeys != 1 || whole.Status.AttachedKeys != 2 || account.Status.ActiveKeys != 0 {
			return fmt.Sprintf("the limits hold for %d and %d keys, and the account has %d that work", limit.Status.AttachedKeys, whole.Status.AttachedKeys, account.Status.ActiveKeys)
		}
		return ""
	})

	// A status that somebody emptied is written again.
	emptyStatus(t, key)
	awaitState(t, key, v1alpha1.ReasonRevoked)
}

func TestTheCachesHoldNoKey(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	o := start(t, operator, ns)
	key := newKey(ns, "key", "shop")
	create(t, key)
	awaitReason(t, key, v1alpha1.ReasonReconciled)
	change(t, delivered(t, key), func(s *corev1.Secret) {
		s.Annotations[corev1.LastAppliedConfigAnnotation] = plaintext(s) // kubectl does, in base64
	})
	text := plaintext(delivered(t, key))

	// As typed objects, which nobody reads, they would be without content.
	var cached corev1.SecretList
	if err := o.GetCache().List(t.Context(), &cached, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	if len(cached.Items) != 1 || len(cached.Items[0].Data) != 0 || strings.Contains(toJSON(t, cached), text) {
		t.Error("the cache holds the key")
	}
	metas := &metav1.PartialObjectMetadataList{}
	metas.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := o.GetCache().List(t.Context(), metas, client.InNamespace(ns)); err != nil || len(metas.Items) != 1 {
		t.Fatal(err, len(metas.Items))
	}
	eventually(t, func() string {
		if err := o.GetCache().List(t.Context(), metas, client.InNamespace(ns)); err != nil || strings.Contains(toJSON(t, metas), text) {
			return "the cache holds what kubectl has applied"
		}
		return ""
	})
	// Whoever reads through the client gets the content, from the API server.
	read := &corev1.Secret{}
	if err := o.GetClient().Get(t.Context(), client.ObjectKeyFromObject(key), read); err != nil || plaintext(read) != text {
		t.Errorf("the client reads a Secret without content (%v)", err)
	}
}

// An operator that is started over what another left behind changes none of it, though all
// status be lost.
func TestARestartOverEmptiedStatus(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = ptr.To[int32](5) }))
	first := start(t, operator, ns)
	var keys []*v1alpha1.ApiKey
	for i := range 5 {
		key := newKey(ns, fmt.Sprint("key-", i), "shop", ttl(time.Hour), func(s *v1alpha1.ApiKeySpec) {
			s.Delivery.Labels = map[string]v1alpha1.LabelValue{"team": "web"}
		})
		create(t, key)
		keys = append(keys, key)
	}
	before := map[string]*v1alpha1.ApiKey{}
	for _, key := range keys {
		before[key.Name] = awaitReason(t, key, v1alpha1.ReasonReconciled)
	}
	remove(t, delivered(t, keys[0]))
	eventually(t, func() string {
		if found := hashes(t, operator, keys[0]); len(found) != 1 || found[0].Annotations[v1alpha1.AnnotationGeneration] != "2" {
			return "the lost key is not replaced"
		}
		return ""
	})
	first.quiet(t)
	first.stop()
	before[keys[0].Name] = fresh(t, keys[0])
	secrets := map[string]map[string]string{}
	for _, key := range keys {
		secrets[key.Name] = versions(t, operator, key)
		emptyStatus(t, key)
	}

	second := start(t, operator, ns)
	for _, key := range keys {
		after := awaitReason(t, key, v1alpha1.ReasonReconciled)
		sameSecrets(t, operator, key, secrets[key.Name])
		was, is := before[key.Name].Status, after.Status
		if is.Hint != was.Hint || is.KeyID != was.KeyID || is.State != was.State || is.SecretName != was.SecretName ||
			!is.IssuedAt.Equal(was.IssuedAt) || !is.ExpiresAt.Equal(was.ExpiresAt) {
			t.Errorf("the status of %s was %+v and is %+v", key.Name, was, is)
		}
	}
	second.quiet(t)
	if writes := second.written("/secrets"); len(writes) != 0 {
		t.Errorf("Secrets were written: %q", writes)
	}
}

// Of two ApiKeys that name one Secret, the first has it; the second gets its own when it is free.
func TestTwoApiKeysNameOneSecret(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	start(t, operator, ns)
	both := func(s *v1alpha1.ApiKeySpec) { s.Delivery.SecretName = "both" }
	first, second := newKey(ns, "first", "shop", both), newKey(ns, "second", "shop", both)
	create(t, first)
	awaitReason(t, first, v1alpha1.ReasonReconciled)
	create(t, second)
	awaitReason(t, second, v1alpha1.ReasonSecretConflict)
	text := plaintext(delivered(t, first))
	oneKey(t, operator, first)
	eventually(t, func() string {
		var told eventsv1.EventList
		if err := admin.List(t.Context(), &told, client.InNamespace(ns)); err != nil {
			return err.Error()
		}
		for _, e := range told.Items {
			if e.Regarding.Name == "second" && e.Reason == v1alpha1.ReasonSecretConflict {
				return ""
			}
		}
		return "no Event tells of the conflict"
	})
	remove(t, first)
	awaitReason(t, second, v1alpha1.ReasonReconciled)
	oneKey(t, operator, second)
	if plaintext(delivered(t, second)) == text {
		t.Error("the second has the key of the first")
	}
}

// A place that gets free is taken by the one that waits for it.
func TestAPlaceThatGetsFree(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = ptr.To[int32](1) }))
	start(t, operator, ns)
	keys := []*v1alpha1.ApiKey{newKey(ns, "a", "shop", ttl(3*time.Second)), newKey(ns, "b", "shop"), newKey(ns, "c", "shop")}
	create(t, keys[0])
	awaitReason(t, keys[0], v1alpha1.ReasonReconciled)
	create(t, keys[1])
	awaitState(t, keys[0], v1alpha1.ReasonExpired)
	awaitReason(t, keys[1], v1alpha1.ReasonReconciled)
	create(t, keys[2])
	awaitReason(t, keys[2], v1alpha1.ReasonTooManyKeys)
	remove(t, keys[1])
	awaitReason(t, keys[2], v1alpha1.ReasonReconciled)
}
