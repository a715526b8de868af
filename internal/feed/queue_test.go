package feed

import (
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func workspace(name string, suspended bool) *v1alpha1.Workspace {
	w := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	w.Spec.Suspended = suspended
	return w
}

// wideStore is a store of Workspaces whose changes are made one by one, as the test lets them.
type wideStore struct {
	*store[*v1alpha1.Workspace, types.NamespacedName]
	*queue
	clock *clocktesting.FakeClock
	calls chan string
	next  chan struct{}
}

func newWideStore(t *testing.T, known ...string) *wideStore {
	w := &wideStore{clock: clocktesting.NewFakeClock(time.Now()), calls: make(chan string, 100), next: make(chan struct{})}
	w.queue = newQueue(w.clock)
	k := workspaces(nil)
	change := func(call string) { <-w.next; w.calls <- call }
	k.set = func(o *v1alpha1.Workspace) error {
		if o.Spec.Suspended {
			change("set suspended " + o.Name)
		} else {
			change("set " + o.Name)
		}
		return nil
	}
	k.remove = func(name types.NamespacedName) { change("remove " + name.Name) }
	k.stop = func(name types.NamespacedName) { w.calls <- "stop " + name.Name }
	k.retain = func(keep func(types.NamespacedName) bool) {
		for _, name := range known {
			if !keep(types.NamespacedName{Namespace: "ns", Name: name}) {
				t.Error("the index was told to drop what only the queue may drop")
			}
		}
	}
	w.store = &store[*v1alpha1.Workspace, types.NamespacedName]{kind: throughQueue(w.queue, k), log: testr.New(t), heard: func() {}}
	ended := make(chan struct{})
	go func() { w.run(); close(ended) }()
	t.Cleanup(func() { close(w.next); w.close(); <-ended })
	return w
}

func (w *wideStore) want(t *testing.T, calls ...string) {
	t.Helper()
	var got []string
	for range calls {
		select {
		case call := <-w.calls:
			got = append(got, call)
		case <-time.After(10 * time.Second):
			t.Fatalf("only %q was called of %q", got, calls)
		}
	}
	if !slices.Equal(got, calls) || len(w.calls) > 0 {
		t.Errorf("%q was called, want %q, and %d more", got, calls, len(w.calls))
	}
}

func (w *wideStore) tell(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestASuspensionDoesNotWaitForTheChangeOfAnother(t *testing.T) {
	w := newWideStore(t)
	w.tell(t, w.Add(workspace("big", false)), w.Update(workspace("other", false)), w.Update(workspace("third", false)))
	w.tell(t, w.Update(workspace("other", true)))
	w.want(t, "stop other")
	w.tell(t, w.Delete(workspace("third", false)))
	w.want(t, "stop third")
	for _, call := range []string{"set big", "set suspended other", "remove third"} {
		w.next <- struct{}{}
		w.want(t, call)
	}
}

func TestAnOlderChangeDoesNotUndoAStop(t *testing.T) {
	w := newWideStore(t)
	w.tell(t, w.Add(workspace("a", false)))
	eventually(t, "it has begun", func() bool {
		w.queue.mu.Lock()
		defer w.queue.mu.Unlock()
		return w.begun != nil
	})
	w.tell(t, w.Update(workspace("a", true)))
	w.want(t, "stop a")
	w.next <- struct{}{}
	w.want(t, "set a", "stop a")
	w.next <- struct{}{}
	w.want(t, "set suspended a")
}

func TestAListIsThereWhenTheQueueHasPassedItOn(t *testing.T) {
	w := newWideStore(t, "gone")
	w.tell(t, w.Replace([]any{w.collect(workspace("a", false))}, "7"))
	w.want(t, "stop gone")
	w.clock.Step(time.Minute)
	if w.live.Load() || w.oldest() != time.Minute {
		t.Errorf("with all in the queue: live is %v, and the oldest is %v", w.live.Load(), w.oldest())
	}
	w.next <- struct{}{}
	w.want(t, "set a")
	if w.live.Load() {
		t.Error("it is live before all was passed on")
	}
	w.next <- struct{}{}
	w.want(t, "remove gone")
	eventually(t, "it is live", func() bool { return w.live.Load() && w.oldest() == 0 })
}
