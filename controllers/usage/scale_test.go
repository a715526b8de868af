package usage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

const (
	manyKeys = 100_000
	busyKeys = 10_000
	readings = 10 * time.Second
)

// fleet is a cache of many keys, and an API server that takes statuses and notes when.
type fleet struct {
	client.Client // nil: whatever else is called would panic
	clock         *testclock.FakeClock
	keys          map[string]*v1alpha1.ApiKey
	version       int
	writes        []write
}

type write struct {
	id     string
	at     time.Time
	before time.Time // the last use that the status told of before; zero: none
}

func newFleet(clock *testclock.FakeClock) *fleet {
	f := &fleet{clock: clock, keys: make(map[string]*v1alpha1.ApiKey, manyKeys)}
	for i := range manyKeys {
		id := strconv.Itoa(i)
		f.keys[id] = &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: id, UID: types.UID(id), ResourceVersion: "1"}}
	}
	return f
}

// List finds a key by its UID.
func (f *fleet) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	for _, requirement := range o.FieldSelector.Requirements() {
		if key := f.keys[requirement.Value]; key != nil {
			list.(*v1alpha1.ApiKeyList).Items = []v1alpha1.ApiKey{*key}
		}
	}
	return nil
}

func (f *fleet) GroupVersionKindFor(runtime.Object) (schema.GroupVersionKind, error) {
	return v1alpha1.GroupVersion.WithKind("ApiKey"), nil
}

func (f *fleet) Status() client.SubResourceWriter { return taker{fleet: f} }

type taker struct {
	client.SubResourceWriter
	*fleet
}

func (t taker) Apply(_ context.Context, applied runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(applied)
	if err != nil {
		return err
	}
	var got v1alpha1.ApiKey
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &got); err != nil {
		return err
	}
	has := t.keys[got.Name]
	if got.ResourceVersion != has.ResourceVersion {
		return errors.New("it is not of this version")
	}
	w := write{id: got.Name, at: t.clock.Now()}
	if has.Status.Usage != nil {
		w.before = has.Status.Usage.LastUsedAt.Time
	}
	t.writes = append(t.writes, w)
	t.version++
	changed := *has
	changed.Status.Usage, changed.ResourceVersion = got.Status.Usage, strconv.Itoa(1+t.version)
	t.keys[got.Name] = &changed
	applied.(interface{ SetResourceVersion(string) }).SetResourceVersion(changed.ResourceVersion)
	return nil
}

// feed tells that every busy key was used once since it was asked last.
func (f *fleet) feed(n int64) func(context.Context, int64) (page[usagefeed.Key], error) {
	return func(_ context.Context, after int64) (page[usagefeed.Key], error) {
		p := page[usagefeed.Key]{epoch: "e", next: after}
		for i := after % busyKeys; after < n*busyKeys && len(p.items) < usagefeed.PageSize; i++ {
			// Spread over all keys, and so that the order has nothing to do with the names.
			id := strconv.FormatInt(i*7919%busyKeys*(manyKeys/busyKeys), 10)
			p.items = append(p.items, usagefeed.Key{ID: id, LastUsedAt: f.clock.Now(), Total: usagefeed.Counts{Requests: n}})
			after++
			p.next = after
		}
		return p, nil
	}
}

// run reads every ten seconds and writes whatever may be written, for so long, and then until all is.
func (f *fleet) run(t *testing.T, w *WriteBack, during time.Duration) {
	t.Helper()
	end := f.clock.Now().Add(during)
	for reading := int64(1); ; reading++ {
		now := f.clock.Now()
		if now.Before(end) {
			w.keys.read = f.feed(reading)
			if err := w.readKeys(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		} else if len(w.schedule.pending) == 0 {
			return
		}
		w.forget()
		for next := now.Add(readings); ; {
			e, wait := w.schedule.next(f.clock.Now())
			if e == nil && f.clock.Now().Add(wait).After(next) || wait == forever {
				f.clock.SetTime(next)
				break
			}
			if e == nil {
				f.clock.Step(wait)
				continue
			}
			before := f.keys[e.news.id()]
			if w.settle(t.Context(), e, 0) > 0 {
				t.Fatalf("the status of %s could not be written", e.news.id())
			}
			w.follow(before, f.keys[e.news.id()])
		}
	}
}

func TestAHundredThousandKeysOfWhichTenThousandAreBusy(t *testing.T) {
	for _, test := range []struct {
		perSecond float64
		during    time.Duration
		least     int // writes of each busy key
	}{
		{20, 10 * time.Minute, 1},
		{200, 4 * time.Minute, 3}, // there is room to write each as often as it may be
	} {
		perSecond := test.perSecond
		t.Run(fmt.Sprintf("%v a second", perSecond), func(t *testing.T) {
			clock := testclock.NewFakeClock(start)
			f := newFleet(clock)
			w := newWriteBack(f, clock, perSecond)
			w.schedule.jitter = func() time.Duration { return rand.N(writeJitter) }
			f.run(t, w, test.during)

			requireBudget(t, f.writes, perSecond)
			requireOnceAMinute(t, f.writes)
			requireTheMostStaleFirst(t, f.writes)
			written := map[string]int{}
			for _, write := range f.writes {
				written[write.id]++
			}
			uses := int64(test.during / readings)
			for id, key := range f.keys {
				number, _ := strconv.Atoi(id)
				busy := number%(manyKeys/busyKeys) == 0
				switch {
				case !busy && written[id] > 0:
					t.Fatalf("key %s, which nobody used, was written", id)
				case busy && written[id] < test.least:
					t.Fatalf("key %s was written %d times in %v", id, written[id], test.during)
				case busy && key.Status.Usage.Total.Requests != uses:
					t.Fatalf("the status of key %s shows %d uses of %d", id, key.Status.Usage.Total.Requests, uses)
				}
			}
			clock.Step(2 * writeEvery)
			w.forget()
			if left := len(w.schedule.pending) + len(w.schedule.mayWrite) + len(w.known.unshown) + w.schedule.ready.Len() + w.schedule.waiting.Len(); left > 0 {
				t.Errorf("%d things are remembered of keys that nobody uses", left)
			}
		})
	}
}

// requireBudget looks at every window there is: none has more writes than its length allows, and one.
func requireBudget(t *testing.T, writes []write, perSecond float64) {
	t.Helper()
	// How many writes there were before each, less what the budget allows until then, may never grow.
	least := 0.0
	for i, w := range writes {
		ahead := float64(i) - perSecond*w.at.Sub(start).Seconds()
		// The limiter rounds to parts of a microsecond.
		if ahead > least+1e-3 {
			t.Fatalf("up to write %d, at %v, there is a time with %v more than %v a second allow", i, w.at.Sub(start), ahead-least, perSecond)
		}
		least = min(least, ahead)
	}
}

func requireOnceAMinute(t *testing.T, writes []write) {
	t.Helper()
	last := map[string]time.Time{}
	for _, w := range writes {
		if at, again := last[w.id]; again && w.at.Sub(at) < writeEvery {
			t.Fatalf("key %s is written again after %v", w.id, w.at.Sub(at))
		}
		last[w.id] = w.at
	}
}

// requireTheMostStaleFirst holds each write against those before it, from when its key certainly waited: none
// of them may be of a status that told of a later use.
func requireTheMostStaleFirst(t *testing.T, writes []write) {
	t.Helper()
	last := map[string]time.Time{}
	for i, w := range writes {
		waits := start
		if at, again := last[w.id]; again {
			waits = at.Add(writeEvery + writeJitter) // and by then it was read that it was used
		}
		for j := i - 1; j >= 0 && writes[j].at.After(waits); j-- {
			if writes[j].before.After(w.before) {
				t.Fatalf("write %d, of key %s, whose status told of %v, came before write %d, of key %s, which waited and told of %v",
					j, writes[j].id, writes[j].before, i, w.id, w.before)
			}
		}
		last[w.id] = w.at
	}
}
