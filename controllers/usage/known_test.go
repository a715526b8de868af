package usage

import (
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func TestWhatIsToldOfTheKeyBeforeTheCurrentOne(t *testing.T) {
	used := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	generations := func(numbers ...int) (list []usagefeed.Generation) {
		for _, n := range numbers {
			list = append(list, usagefeed.Generation{Number: n, LastUsedAt: used(n)})
		}
		return list
	}
	tests := map[string]struct {
		generations []usagefeed.Generation
		current     int
		want        int // the generation whose last use is told of; 0: none
	}{
		"both are used":                         {generations(3, 2), 3, 2},
		"the replaced one alone is":             {generations(2), 3, 2},
		"the current one alone is":              {generations(3), 3, 0},
		"one was skipped":                       {generations(4, 1), 4, 1},
		"two before it are":                     {generations(2, 1), 3, 2},
		"the next one is known before the rest": {generations(4, 3), 3, 0},
		"nobody knows which is current":         {generations(2, 1), 0, 0},
		"a verifier that does not tell them":    {nil, 3, 0},
	}
	for name, test := range tests {
		got := keyUsage(&usagefeed.Key{Generations: test.generations}, nil, test.current).PreviousLastUsedAt
		switch {
		case test.want == 0 && got != nil:
			t.Errorf("%s: %v is told", name, got)
		case test.want != 0 && (got == nil || !got.Time.Equal(used(test.want))):
			t.Errorf("%s: %v is told, want %v", name, got, used(test.want))
		}
	}
}

// step is how far the clock goes from one thing to the next.
const step = time.Second

func TestNothingIsKnownBeforeTheFeedWasReadAndWhileItIsNot(t *testing.T) {
	w := newWriteBack(newCluster(t, nil, nil), testclock.NewFakeClock(start), unlimited)
	answers := []error{errors.New("away"), nil, errors.New("away"), nil}
	w.keys.read = readsOf(&answers)
	for i, want := range []time.Time{{}, start.Add(time.Minute - tellsWithin), {}, start.Add(3*time.Minute - tellsWithin)} {
		w.readKeys(t.Context(), start.Add(time.Duration(i)*time.Minute)) //nolint:errcheck // what follows is what matters
		if got := w.KnownUntilOf("any", true); !got.Equal(want) {
			t.Errorf("after reading %d usage of one key is known until %v, want %v", i, got, want)
		}
	}
}

func TestWhatWaitsToBeWrittenIsNotKnown(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	w := newWriteBack(newCluster(t, nil, map[string]int{"good": 2}), clock, unlimited)
	use := func(ids ...string) {
		list := make([]usagefeed.Key, len(ids))
		for i, id := range ids {
			list[i] = usagefeed.Key{ID: id, LastUsedAt: clock.Now()}
		}
		w.keys.read = tells(list)
		w.keys.after = 0
		if err := w.readKeys(t.Context(), clock.Now()); err != nil {
			t.Fatal(err)
		}
		clock.Step(step)
	}
	use()
	read := start.Add(-tellsWithin)
	clock.Step(time.Hour)
	use("good-0", "good-1")
	if got := w.KnownUntilOf("good-0", true); !got.Equal(read) {
		t.Errorf("while two statuses wait usage is known until %v, want %v", got, read)
	}
	if got, want := w.KnownUntilOf("another", true), start.Add(time.Hour+step-tellsWithin); !got.Equal(want) {
		t.Errorf("another key is held up: %v, want %v", got, want)
	}
	for range 2 {
		w.pass(0)
		clock.Step(step)
	}
	if got := w.KnownUntilOf("good-0", true); !got.Equal(read) {
		t.Errorf("while the cache does not have what was written usage is known until %v, want %v", got, read)
	}
	for _, id := range []string{"good-0", "good-1"} {
		apiKey, err := w.statuses.apiKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		w.follow(apiKey, apiKey)
	}
	clock.Step(step)
	if got, want := w.KnownUntilOf("good-0", true), start.Add(time.Hour+step-tellsWithin); !got.Equal(want) {
		t.Errorf("once they are written usage is known until %v, want %v", got, want)
	}
}

func TestARefusedStatusHoldsUpItsOwnKeyAlone(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	refusal := apierrors.NewForbidden(apiKeys, "a", errors.New("a policy"))
	w := newWriteBack(newCluster(t, refusal, map[string]int{"refused": 1}), clock, unlimited)
	w.keys.read = tells([]usagefeed.Key{{ID: "refused-0", LastUsedAt: start}})
	if err := w.readKeys(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	w.pass(0)
	clock.Step(step)
	if got, want := w.KnownUntilOf("another", true), start.Add(-tellsWithin); !got.Equal(want) {
		t.Errorf("usage is known until %v, want %v", got, want)
	}
	if got := w.KnownUntilOf("refused-0", true); !got.IsZero() {
		t.Errorf("of the refused key it is known until %v", got)
	}
}

func TestWhatWasWrittenIsKnownOnceTheCacheHasIt(t *testing.T) {
	for name, order := range map[string][]string{
		"the answer comes first": {"written", "8", "9"},
		"the event comes first":  {"9", "written"},
	} {
		k := newKnown()
		k.complete(start, start.Add(-tellsWithin), false)
		k.complete(start.Add(time.Minute), start.Add(time.Minute).Add(-tellsWithin), false)
		k.observed("a", time.Time{})
		k.complete(start.Add(2*time.Minute), start.Add(2*time.Minute).Add(-tellsWithin), false)
		for i, what := range order {
			if what == "written" {
				k.written("a", "9")
			} else {
				k.cached("a", what)
			}
			want := start.Add(time.Minute - tellsWithin)
			if i == len(order)-1 {
				want = start.Add(2*time.Minute - tellsWithin)
			}
			if got := k.untilOf("a"); !got.Equal(want) {
				t.Errorf("%s: after %q it is known until %v, want %v", name, what, got, want)
			}
		}
	}
}

func TestAKeyThatWasReplacedIsKnownOnceTheWholeFeedWasRead(t *testing.T) {
	k := newKnown()
	k.complete(start, start.Add(-tellsWithin), true)
	k.reread("a", start.Add(-time.Hour), start.Add(time.Minute))
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	k.complete(minute(2), minute(2).Add(-tellsWithin), false)
	if got := k.untilOf("a"); !got.Equal(start.Add(-time.Hour)) {
		t.Errorf("known until %v though only what is new was read", got)
	}
	k.complete(minute(0), minute(0).Add(-tellsWithin), true)
	if got := k.untilOf("a"); !got.Equal(start.Add(-time.Hour)) {
		t.Errorf("known until %v though the reading began before", got)
	}
	k.complete(minute(3), minute(3).Add(-tellsWithin), true)
	if got, want := k.untilOf("a"), minute(3).Add(-tellsWithin); !got.Equal(want) {
		t.Errorf("known until %v, want %v", got, want)
	}
}

func TestTheFirstUseOfAReplacedKeyIsShownBeforeBusyOnes(t *testing.T) {
	apiKey := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "good", Name: "a", UID: types.UID("a")}}
	apiKey.Status.KeyGeneration = 2
	apiKey.Status.Usage = &v1alpha1.KeyUsage{LastUsedAt: &metav1.Time{Time: start}}
	c := newCluster(t, nil, nil)
	if err := c.Create(t.Context(), apiKey); err != nil {
		t.Fatal(err)
	}
	lastShown := func(generations ...usagefeed.Generation) time.Time {
		news := ofKey{usagefeed.Key{ID: "a", LastUsedAt: start.Add(time.Minute), Generations: generations}}
		got, err := news.change(t.Context(), statuses{client: c})
		if err != nil || got.usage == nil {
			t.Fatalf("%+v, %v", got, err)
		}
		return got.lastShown
	}
	if got := lastShown(usagefeed.Generation{Number: 2, LastUsedAt: start.Add(time.Minute)}); !got.Equal(start) {
		t.Errorf("of the current key the status is as old as %v, want %v", got, start)
	}
	if got := lastShown(usagefeed.Generation{Number: 1, LastUsedAt: start}); !got.IsZero() {
		t.Errorf("of the replaced key the status is as old as %v, want never", got)
	}
}

func TestOnlyAReplacedKeyWhoseUseMattersIsReadAnew(t *testing.T) {
	key := func(uid types.UID, generation int32, unusedFor *metav1.Duration) *v1alpha1.ApiKey {
		k := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{UID: uid}}
		k.Status.KeyGeneration = generation
		k.Spec.Rotation = &v1alpha1.Rotation{EndWhenUnusedFor: unusedFor}
		return k
	}
	hour := &metav1.Duration{Duration: time.Hour}
	for name, test := range map[string]struct {
		before, after *v1alpha1.ApiKey
		want          bool
	}{
		"it was replaced":             {key("a", 1, hour), key("a", 2, hour), true},
		"its overlap has a fixed end": {key("a", 1, nil), key("a", 2, nil), false},
		"it is the same key":          {key("a", 2, hour), key("a", 2, hour), false},
		"it is the first":             {key("a", 0, hour), key("a", 1, hour), false},
		"it is another ApiKey":        {key("a", 1, hour), key("b", 2, hour), false},
	} {
		if got := succeeded(test.before, test.after); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// tells is a feed with these keys.
func tells(keys []usagefeed.Key) func(ctx context.Context, after int64) (page[usagefeed.Key], error) {
	return func(_ context.Context, after int64) (page[usagefeed.Key], error) {
		if after > 0 {
			return page[usagefeed.Key]{epoch: "e", next: after}, nil
		}
		return page[usagefeed.Key]{epoch: "e", next: 1, items: keys}, nil
	}
}

// readsOf is an empty feed that fails as the answers say.
func readsOf(answers *[]error) func(context.Context, int64) (page[usagefeed.Key], error) {
	return func(_ context.Context, after int64) (page[usagefeed.Key], error) {
		err := (*answers)[0]
		*answers = (*answers)[1:]
		return page[usagefeed.Key]{epoch: "e", next: after}, err
	}
}

func TestUsesAreKnownAsFarAsVerifiersSayThatTheyStoredThem(t *testing.T) {
	before := func(d time.Duration) time.Time { return start.Add(-d) }
	prompt, hour, day := before(time.Millisecond), before(time.Hour), before(24*time.Hour)
	for name, test := range map[string]struct {
		told   time.Time
		of     stored
		shared bool
		want   time.Time
	}{
		"nobody knows":                             {prompt, stored{}, false, time.Time{}},
		"one with nothing that waits":              {prompt, stored{prompt, prompt}, false, before(tellsWithin)},
		"one whose store was away":                 {prompt, stored{hour, hour}, false, hour},
		"one that had more later":                  {hour, stored{prompt, prompt}, false, hour},
		"one that does not say it with the feed":   {time.Time{}, stored{hour, hour}, false, hour},
		"others that are gone store elsewhere":     {prompt, stored{hour, day}, false, hour},
		"several with nothing that waits":          {prompt, stored{prompt, prompt}, true, before(seenWithin)},
		"several, one of which cannot store":       {prompt, stored{hour, hour}, true, hour},
		"several, and one that is gone":            {prompt, stored{hour, day}, true, day},
		"several, and nobody knows about the gone": {prompt, stored{hour, time.Time{}}, true, time.Time{}},
	} {
		if got := countedUntil(start, test.told, test.of, test.shared); !got.Equal(test.want) {
			t.Errorf("%s: until %v, want %v", name, got, test.want)
		}
	}
}
