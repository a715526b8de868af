package local

import (
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/limit"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func perMinute(n int64) limit.Rule { return limit.Rule{Max: n, Per: time.Minute} }
func perHour(n int64) limit.Rule   { return limit.Rule{Max: n, Per: time.Hour} }
func bursting(n int64) limit.Rule {
	return limit.Rule{Kind: limit.Tokens, Max: n, Burst: n, Per: time.Minute}
}

// define sets the rates of a limit, and forgets those that are gone.
func define(s *Store, id types.UID, rules ...limit.Rule) []Rule {
	fresh, gone := s.Define(id, rules, now)
	s.Forget(gone)
	return fresh
}

var lastSubject Subject

func newSubject() Subject {
	lastSubject++
	return lastSubject
}

type counted struct {
	counter Counter
	subject Subject
}

// used is how many requests each rate has admitted from a subject.
func used(s *Store, rates []Rule, subject Subject) []int64 {
	var counts []int64
	for _, rate := range rates {
		result := rate.Look(s.Bucket(rate.Counter, subject), now)
		counts = append(counts, result.Limit-result.Remaining)
	}
	return counts
}

func take(s *Store, rates []Rule, subject Subject, n int64) {
	var attached []limit.Attached
	for _, rate := range rates {
		attached = append(attached, limit.Attached{Rule: &rate.Rule, Bucket: s.Bucket(rate.Counter, subject)})
	}
	limit.TakeAll(attached, now, limit.Cost{Requests: n}, nil)
}

func TestASubjectKeepsItsBuckets(t *testing.T) {
	s := NewStore()
	rates := define(s, "limit", perMinute(10))
	key, other := newSubject(), newSubject()
	take(s, rates, key, 3)

	if got := used(s, rates, key); !slices.Equal(got, []int64{3}) {
		t.Errorf("asked again: used %v, want 3", got)
	}
	if got := used(s, rates, other); !slices.Equal(got, []int64{0}) {
		t.Errorf("another subject: used %v, want 0", got)
	}
	if got := used(s, rates, newSubject()); !slices.Equal(got, []int64{0}) {
		t.Errorf("made anew: used %v, want 0", got)
	}
}

func TestAnEditHandsOutNoNewAllowance(t *testing.T) {
	tests := map[string]struct {
		before, after []limit.Rule
		want          []int64 // of 3 taken before
	}{
		"more requests":                       {[]limit.Rule{perMinute(5)}, []limit.Rule{perMinute(10)}, []int64{3}},
		"another span":                        {[]limit.Rule{perMinute(5)}, []limit.Rule{perHour(5)}, []int64{3}},
		"a rate put before":                   {[]limit.Rule{perMinute(5)}, []limit.Rule{perHour(50), perMinute(5)}, []int64{0, 3}},
		"a rate put after":                    {[]limit.Rule{perMinute(5)}, []limit.Rule{perMinute(5), perHour(50)}, []int64{3, 0}},
		"the order changed":                   {[]limit.Rule{perMinute(5), perHour(9)}, []limit.Rule{perHour(8), perMinute(7)}, []int64{3, 3}},
		"one of two taken away":               {[]limit.Rule{perMinute(5), perHour(9)}, []limit.Rule{perHour(9)}, []int64{3}},
		"the same rate twice":                 {[]limit.Rule{perMinute(5)}, []limit.Rule{perMinute(5), perMinute(5)}, []int64{3, 0}},
		"a span made a token bucket":          {[]limit.Rule{perMinute(5)}, []limit.Rule{bursting(5)}, []int64{3}},
		"a token bucket made a span":          {[]limit.Rule{bursting(5)}, []limit.Rule{perHour(5)}, []int64{3}},
		"a token bucket that flows faster":    {[]limit.Rule{bursting(5)}, []limit.Rule{{Kind: limit.Tokens, Max: 500, Burst: 5, Per: time.Minute}}, []int64{3}},
		"a rate given another burst and span": {[]limit.Rule{bursting(5)}, []limit.Rule{{Kind: limit.Tokens, Max: 5, Burst: 50, Per: time.Hour}}, []int64{3}},
		"a token bucket with a larger burst":  {[]limit.Rule{bursting(5)}, []limit.Rule{{Kind: limit.Tokens, Max: 5, Burst: 9, Per: time.Minute}}, []int64{3}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewStore()
			key := newSubject()
			take(s, define(s, "limit", test.before...), key, 3)
			if got := used(s, define(s, "limit", test.after...), key); !slices.Equal(got, test.want) {
				t.Errorf("used %v, want %v", got, test.want)
			}
		})
	}
}

func TestALimitThatWasForgottenCountsAnew(t *testing.T) {
	s := NewStore()
	key := newSubject()
	take(s, define(s, "limit", perMinute(5)), key, 3)
	s.ForgetLimit("limit")
	if got := used(s, define(s, "limit", perMinute(5)), key); !slices.Equal(got, []int64{0}) {
		t.Errorf("used %v, want 0", got)
	}
}

// Whatever comes and goes in whatever order: what is there keeps what it used, and what is gone is
// not kept for ever.
func TestBucketsLastAsLongAsWhatTheyCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore()
		var (
			subjects []Subject
			limits   = map[types.UID][]Rule{}
			want     = map[counted]int64{} // what was taken
		)
		t.Repeat(map[string]func(*rapid.T){
			"a limit": func(t *rapid.T) {
				uid := types.UID(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "limit"))
				if _, ok := limits[uid]; ok && rapid.Bool().Draw(t, "forget") {
					s.ForgetLimit(uid)
					delete(limits, uid)
					return
				}
				limits[uid] = define(s, uid, rapid.SliceOfN(rapid.SampledFrom([]limit.Rule{perMinute(1e6), perHour(1e6)}), 0, 3).Draw(t, "rates")...)
			},
			"a subject": func(t *rapid.T) {
				if len(subjects) > 0 && rapid.Bool().Draw(t, "forget") {
					s.ForgetSubject(subjects[0])
					subjects = subjects[1:]
					return
				}
				subjects = append(subjects, newSubject())
			},
			"requests": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "subjects") {
					subjects = append(subjects, newSubject())
				}
				for _, subject := range subjects {
					for _, rates := range limits {
						for _, rate := range rates {
							rate.Take(s.Bucket(rate.Counter, subject), now, 1)
							want[counted{rate.Counter, subject}]++
						}
					}
				}
			},
			"tidying": func(*rapid.T) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.rebuild(s.cells.Load())
			},
			"": func(t *rapid.T) {
				for _, subject := range subjects {
					for _, rates := range limits {
						for _, rate := range rates {
							b := s.cells.Load().find(rate.Counter, subject)
							if taken := want[counted{rate.Counter, subject}]; (b != nil) != (taken > 0) ||
								b != nil && rate.Look(&b.Bucket, now).Remaining != rate.Max-taken {
								t.Fatalf("of %d taken nothing is known", taken)
							}
						}
					}
				}
			},
		})
		for _, subject := range subjects {
			s.ForgetSubject(subject)
		}
		s.rebuild(s.cells.Load())
		if left := s.cells.Load().used; left > 0 {
			t.Fatalf("%d buckets are kept for nobody", left)
		}
	})
}

// Requests that make the same bucket at once count in one.
func TestOneBucketForAll(t *testing.T) {
	s := NewStore()
	rates := define(s, "limit", perMinute(1e6))
	subjects := make([]Subject, 1000)
	for i := range subjects {
		subjects[i] = newSubject()
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for _, subject := range subjects {
				rates[0].Take(s.Bucket(rates[0].Counter, subject), now, 1)
			}
		})
	}
	workers.Wait()
	for _, subject := range subjects {
		if got := used(s, rates, subject); !slices.Equal(got, []int64{4}) {
			t.Fatalf("used %v, want 4", got)
		}
	}
}
