package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// direct drives the ApiKey reconciler by hand, over the real API server.
type direct struct {
	*apikey.Reconciler
	clock  *clocktesting.FakePassiveClock
	events *events.FakeRecorder
	calls  *calls
}

// newDirect is an operator that was just started: it remembers nothing. Its caches are up to date.
func newDirect(operator string) *direct {
	d := &direct{
		clock:  clocktesting.NewFakePassiveClock(time.Now()),
		events: events.NewFakeRecorder(100),
		calls:  &calls{limit: -1},
	}
	caches := &indexed{Reader: admin, extract: map[string]client.IndexerFunc{
		apikey.HashedByApiKey: apikey.IndexHashed, apikey.HashedByHash: apikey.IndexHash}}
	if err := fieldindex.Register(context.Background(), caches); err != nil {
		panic(err)
	}
	d.Reconciler = &apikey.Reconciler{
		Namespace: operator, Cached: caches, Hashed: caches,
		Live: counted{d.calls, admin}, Writer: counted{d.calls, admin},
		Events: d.events, Clock: d.clock,
	}
	return d
}

// once reconciles an ApiKey once.
func (d *direct) once(t *testing.T, key *v1alpha1.ApiKey) (reconcile.Result, error) {
	t.Helper()
	return d.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(key)})
}

// settle reconciles an ApiKey as its events would, and returns it as it then is.
func (d *direct) settle(t *testing.T, key *v1alpha1.ApiKey) *v1alpha1.ApiKey {
	t.Helper()
	for range 4 {
		if _, err := d.once(t, key); err != nil {
			t.Fatal(err)
		}
	}
	return fresh(t, key)
}

func (d *direct) told() (all []string) {
	for len(d.events.Events) > 0 {
		all = append(all, <-d.events.Events)
	}
	return all
}

// indexed reads from the API server as a cache would that is always up to date: with indexes, and
// of Secrets' metadata only what is labelled as delivered or staged.
type indexed struct {
	client.Reader
	extract map[string]client.IndexerFunc
}

func (x *indexed) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	x.extract[fmt.Sprintf("%T %s", object, field)] = extract
	return nil
}

func (x *indexed) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if err := x.Reader.Get(ctx, key, object, opts...); err != nil {
		return err
	}
	m, ok := object.(*metav1.PartialObjectMetadata)
	if ok && m.Labels[v1alpha1.LabelSecret] != v1alpha1.SecretDelivered && m.Labels[v1alpha1.LabelSecret] != v1alpha1.SecretStaged {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	return nil
}

func (x *indexed) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	by := options.FieldSelector
	options.FieldSelector = nil
	if err := x.Reader.List(ctx, list, options); err != nil || by == nil {
		return err
	}
	requirement := by.Requirements()[0]
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	items = slices.DeleteFunc(items, func(item runtime.Object) bool {
		extract := x.extract[fmt.Sprintf("%T %s", item, requirement.Field)]
		if _, ok := item.(*corev1.Secret); ok {
			extract = x.extract[requirement.Field]
		}
		return !slices.Contains(extract(item.(client.Object)), requirement.Value)
	})
	return meta.SetList(list, items)
}

// errCrashed is what every call ends with once the operator is dead.
var errCrashed = errors.New("the operator was killed")

// calls counts the calls to the API server, and kills the operator at one of them.
type calls struct {
	mu           sync.Mutex
	made, writes int
	// limit is how many calls come through; -1: all.
	limit int
	// answerLost lets the call at which the operator dies reach the server.
	answerLost bool
}

func (c *calls) do(write bool, call func() error) error {
	if !c.begin(write) {
		return errCrashed
	}
	err := call()
	if c.crashed() {
		return errCrashed
	}
	return err
}

// begin counts a call and says whether it comes through.
func (c *calls) begin(write bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit >= 0 && c.made > c.limit || c.made == c.limit && !c.answerLost {
		c.made = c.limit + 1
		return false
	}
	c.made++
	if write {
		c.writes++
	}
	return true
}

func (c *calls) crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit >= 0 && c.made > c.limit
}

// counted is a client whose calls are counted.
type counted struct {
	calls *calls
	client.Client
}

func (c counted) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	return c.calls.do(false, func() error { return c.Client.Get(ctx, key, object, opts...) })
}

func (c counted) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.calls.do(false, func() error { return c.Client.List(ctx, list, opts...) })
}

func (c counted) Create(ctx context.Context, object client.Object, opts ...client.CreateOption) error {
	return c.calls.do(true, func() error { return c.Client.Create(ctx, object, opts...) })
}

func (c counted) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.calls.do(true, func() error { return c.Client.Patch(ctx, object, patch, opts...) })
}

func (c counted) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	return c.calls.do(true, func() error { return c.Client.Delete(ctx, object, opts...) })
}

func (c counted) Update(context.Context, client.Object, ...client.UpdateOption) error {
	panic("key material is never updated as a whole")
}

func (c counted) Status() client.SubResourceWriter { return countedStatus{c.calls, c.Client.Status()} }

type countedStatus struct {
	calls *calls
	client.SubResourceWriter
}

func (c countedStatus) Apply(ctx context.Context, object runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	return c.calls.do(true, func() error { return c.SubResourceWriter.Apply(ctx, object, opts...) })
}

// stopping is a client whose operator stands still before one of its calls, while others go on.
type stopping struct {
	client.Client
	made, at  int
	meanwhile func()
	stopped   bool
}

func (s *stopping) stop() {
	if s.made == s.at {
		s.stopped = true
		s.meanwhile()
	}
	s.made++
}

func (s *stopping) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	s.stop()
	return s.Client.Get(ctx, key, object, opts...)
}

func (s *stopping) Create(ctx context.Context, object client.Object, opts ...client.CreateOption) error {
	s.stop()
	return s.Client.Create(ctx, object, opts...)
}

func (s *stopping) Patch(ctx context.Context, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	s.stop()
	return s.Client.Patch(ctx, object, patch, opts...)
}

func (s *stopping) Delete(ctx context.Context, object client.Object, opts ...client.DeleteOption) error {
	s.stop()
	return s.Client.Delete(ctx, object, opts...)
}
