package feed

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// recorded is a store whose index is a list of what it was told.
type recorded struct {
	*store[*v1alpha1.ApiKey, types.UID]
	calls []string
	known int
}

func newRecorded(t *testing.T) *recorded {
	r := &recorded{}
	tell := func(call string) { r.calls = append(r.calls, call) }
	k := apiKeys(nil)
	k.set = func(k *v1alpha1.ApiKey) error { tell("set " + string(k.UID) + k.Spec.DisplayName); return nil }
	k.remove = func(uid types.UID) { tell("remove " + string(uid)) }
	k.count = func() int { return r.known }
	k.retain = func(keep func(types.UID) bool) {
		for _, uid := range []types.UID{"a", "b", "c", ""} {
			if keep(uid) {
				tell("keep " + string(uid))
			}
		}
	}
	k.stop, k.stopMissing = func(uid types.UID) { tell("stop " + string(uid)) }, func(keep func(types.UID) bool) {
		for _, uid := range []types.UID{"a", "b", "c"} {
			if !keep(uid) {
				tell("missing " + string(uid))
			}
		}
	}
	r.store = &store[*v1alpha1.ApiKey, types.UID]{kind: k, log: testr.New(t), heard: func() {}}
	return r
}

func (r *recorded) want(t *testing.T, calls ...string) {
	t.Helper()
	if !slices.Equal(r.calls, calls) {
		t.Errorf("the index was told %q, want %q", r.calls, calls)
	}
	r.calls = nil
}

func declared(uid types.UID) *v1alpha1.ApiKey {
	return &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "k", UID: uid}}
}

func terminating(uid types.UID) *v1alpha1.ApiKey {
	k := declared(uid)
	k.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	return k
}

func TestEventsBecomeCalls(t *testing.T) {
	tests := map[string]struct {
		event func(*recorded) error
		want  string
	}{
		"a new object":                    {func(r *recorded) error { return r.Add(declared("a")) }, "set a"},
		"a changed object":                {func(r *recorded) error { return r.Update(declared("a")) }, "set a"},
		"an object that is being deleted": {func(r *recorded) error { return r.Update(terminating("a")) }, "remove a"},
		"a new one that is being deleted": {func(r *recorded) error { return r.Add(terminating("a")) }, "remove a"},
		"a deleted object":                {func(r *recorded) error { return r.Delete(declared("a")) }, "remove a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRecorded(t)
			if err := test.event(r); err != nil {
				t.Error(err)
			}
			r.want(t, test.want)
		})
	}
}

// client-go may ask twice.
func collect(r *recorded, objects ...*v1alpha1.ApiKey) (list []any) {
	for _, object := range objects {
		list = append(list, r.collect(r.collect(object)))
	}
	return list
}

func TestAListReachesTheIndexAsItArrivesAndItsEndDropsTheRest(t *testing.T) {
	r := newRecorded(t)
	list := collect(r, declared("a"), terminating("b"))
	r.want(t, "set a", "remove b")
	if r.live.Load() {
		t.Error("it is live before its list has ended")
	}
	if err := r.Replace(list, "7"); err != nil {
		t.Fatal(err)
	}
	r.want(t, "keep a", "keep b")
	if !r.live.Load() {
		t.Error("it is not live with its list in the index")
	}
}

func TestWhileHeldBackOnlyWhatTakesAwayReachesTheIndex(t *testing.T) {
	r := newRecorded(t)
	r.held, r.holding = newBarrier([]string{"apikeys", "secrets"}), true
	key, revoked := declared("a"), declared("c")
	key.Spec.DisplayName, revoked.Spec.State = " shown", v1alpha1.KeyRevoked
	key.Status.State = "Active"
	list := collect(r, key, revoked)
	r.want(t, "set c")
	if err := r.Replace(list, "7"); err != nil {
		t.Fatal(err)
	}
	r.want(t, "missing b")
	changed := declared("a")
	changed.Spec.DisplayName = " changed"
	for _, err := range []error{r.Update(changed), r.Add(declared("b")), r.Delete(declared("c")), r.Update(terminating("b"))} {
		if err != nil {
			t.Error(err)
		}
	}
	r.want(t, "stop c", "stop b")
	if r.live.Load() {
		t.Error("it is live with its list held back")
	}
	r.held.arrive("secrets", func() {})
	slices.Sort(r.calls[:2])
	r.want(t, "remove b", "set a changed", "keep a", "keep b")
	if !r.live.Load() {
		t.Error("it is not live with its list in the index")
	}
	r.Update(revoked)
	r.want(t, "set c")
}

func TestAnEmptyListIsBelievedOnlyWhenConfirmed(t *testing.T) {
	r := newRecorded(t)
	if err := r.Replace(nil, "1"); err != nil {
		t.Fatalf("where nothing was known: %v", err)
	}
	r.want(t)
	r.known = 1
	refuted := errors.New("there is one")
	r.confirmEmpty = func() error { return refuted }
	if err := r.Replace(nil, "2"); !errors.Is(err, refuted) {
		t.Errorf("the error is %v", err)
	}
	r.confirmEmpty = func() error { r.calls = append(r.calls, "confirm"); return nil }
	if err := r.Replace(nil, "3"); err != nil {
		t.Fatal(err)
	}
	r.want(t, "confirm")
}

func TestTheBarrierOpensForTheLast(t *testing.T) {
	var released []string
	b := newBarrier([]string{"one", "two"})
	b.arrive("one", func() { released = append(released, "one") })
	b.arrive("one", func() { t.Error("a list that came again was released twice") })
	if len(released) > 0 || !slices.Equal(b.missing(), []string{"two"}) {
		t.Errorf("released %q, missing %q", released, b.missing())
	}
	b.arrive("two", func() { released = append(released, "two") })
	if !slices.Equal(released, []string{"one", "two"}) || len(b.missing()) > 0 {
		t.Errorf("released %q, missing %q", released, b.missing())
	}
}

func TestTheVersionIsThatOfWhatIsInTheIndex(t *testing.T) {
	r := newRecorded(t)
	version := func() string {
		if v := r.applied.Load(); v != nil {
			return *v
		}
		return ""
	}
	want := func(when, want string) {
		t.Helper()
		if got := version(); got != want {
			t.Errorf("%s, the version is %q, want %q", when, got, want)
		}
	}
	collect(r, declared("a"))
	want("while a list is streamed", "")
	if err := r.Replace(collect(r, declared("a")), "10"); err != nil {
		t.Fatal(err)
	}
	want("with the list", "10")
	r.UpdateResourceVersion("12")
	want("after a bookmark", "12")

	// What waits in the queue is not there yet.
	var waiting []func()
	r.then = func(done func()) { waiting = append(waiting, done) }
	r.UpdateResourceVersion("13")
	r.UpdateResourceVersion("14")
	want("while changes wait", "12")
	for i, version := range []string{"13", "14"} {
		waiting[i]()
		want("when it is their turn", version)
	}
}

func TestWhatIsHeldBackHasNoVersion(t *testing.T) {
	r := newRecorded(t)
	r.held, r.holding = newBarrier([]string{"apikeys", "secrets"}), true
	if err := r.Replace(collect(r, declared("a")), "10"); err != nil {
		t.Fatal(err)
	}
	r.UpdateResourceVersion("11")
	if v := r.applied.Load(); v != nil {
		t.Errorf("while the index is that of a snapshot, its version is %s", *v)
	}
	r.held.arrive("secrets", func() {})
	if v := r.applied.Load(); v == nil || *v != "11" {
		t.Errorf("once it is released, the version is %v", v)
	}
}
