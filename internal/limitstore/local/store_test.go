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

func perMinute(n int64) limit.Rate { return limit.Rate{Requests: n, Per: time.Minute} }
func perHour(n int64) limit.Rate   { return limit.Rate{Requests: n, Per: time.Hour} }
func bursting(n int64) limit.Rate  { return limit.Rate{Requests: n, Burst: n, Per: time.Minute} }

// define sets the rates of a limit, and forgets those that are gone.
func define(s *Store, id types.UID, rates ...limit.Rate) []Rate {
	fresh, gone := s.Define(id, rates)
	s.Forget(gone)
	return fresh
}

type counted struct {
	counter Counter
	subject Subject
}

// used is how many requests each rate has admitted from a subject.
func used(s *Store, rates []Rate, subject Subject) []int64 {
	var counts []int64
	for _, rate := range rates {
		result := rate.Take(s.Bucket(rate.Counter, subject), now, 0)
		counts = append(counts, result.Limit-result.Remaining)
	}
	return counts
}

func take(s *Store, rates []Rate, subject Subject, n int64) {
	var attached []limit.Attached
	for _, rate := range rates {
		attached = append(attached, limit.Attached{Rate: rate.Rate, Bucket: s.Bucket(rate.Counter, subject)})
	}
	limit.TakeAll(attached, now, n, nil)
}

func TestASubjectKeepsItsBuckets(t *testing.T) {
	s := NewStore()
	rates := define(s, "limit", perMinute(10))
	key, other := s.NewSubject(), s.NewSubject()
	take(s, rates, key, 3)

	if got := used(s, rates, key); !slices.Equal(got, []int64{3}) {
		t.Errorf("asked again: used %v, want 3", got)
	}
	if got := used(s, rates, other); !slices.Equal(got, []int64{0}) {
		t.Errorf("another subject: used %v, want 0", got)
	}
	if got := used(s, rates, s.NewSubject()); !slices.Equal(got, []int64{0}) {
		t.Errorf("made anew: used %v, want 0", got)
	}
}

func TestAnEditHandsOutNoNewAllowance(t *testing.T) {
	tests := map[string]struct {
		before, after []limit.Rate
		want          []int64 // of 3 taken before
	}{
		"more requests":                      {[]limit.Rate{perMinute(5)}, []limit.Rate{perMinute(10)}, []int64{3}},
		"another span":                       {[]limit.Rate{perMinute(5)}, []limit.Rate{perHour(5)}, []int64{3}},
		"a rate put before":                  {[]limit.Rate{perMinute(5)}, []limit.Rate{perHour(50), perMinute(5)}, []int64{0, 3}},
		"a rate put after":                   {[]limit.Rate{perMinute(5)}, []limit.Rate{perMinute(5), perHour(50)}, []int64{3, 0}},
		"the order changed":                  {[]limit.Rate{perMinute(5), perHour(9)}, []limit.Rate{perHour(8), perMinute(7)}, []int64{3, 3}},
		"one of two taken away":              {[]limit.Rate{perMinute(5), perHour(9)}, []limit.Rate{perHour(9)}, []int64{3}},
		"the same rate twice":                {[]limit.Rate{perMinute(5)}, []limit.Rate{perMinute(5), perMinute(5)}, []int64{3, 0}},
		"a span made a token bucket is new":  {[]limit.Rate{perMinute(5)}, []limit.Rate{bursting(5)}, []int64{0}},
		"a token bucket with a larger burst": {[]limit.Rate{bursting(5)}, []limit.Rate{{Requests: 5, Burst: 9, Per: time.Minute}}, []int64{3}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewStore()
			key := s.NewSubject()
			take(s, define(s, "limit", test.before...), key, 3)
			if got := used(s, define(s, "limit", test.after...), key); !slices.Equal(got, test.want) {
				t.Errorf("used %v, want %v", got, test.want)
			}
		})
	}
}

func TestALimitThatWasForgottenCountsAnew(t *testing.T) {
	s := NewStore()
	key := s.NewSubject()
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
			limits   = map[types.UID][]Rate{}
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
				limits[uid] = define(s, uid, rapid.SliceOfN(rapid.SampledFrom([]limit.Rate{perMinute(1e6), perHour(1e6)}), 0, 3).Draw(t, "rates")...)
			},
			"a subject": func(t *rapid.T) {
				if len(subjects) > 0 && rapid.Bool().Draw(t, "forget") {
					s.ForgetSubject(subjects[0])
					subjects = subjects[1:]
					return
				}
				subjects = append(subjects, s.NewSubject())
			},
			"requests": func(t *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(t, "subjects") {
					subjects = append(subjects, s.NewSubject())
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
				s.rebuild(s.table.Load())
			},
			"": func(t *rapid.T) {
				for _, subject := range subjects {
					for _, rates := range limits {
						for _, rate := range rates {
							b := s.table.Load().find(rate.Counter, subject)
							if taken := want[counted{rate.Counter, subject}]; (b != nil) != (taken > 0) ||
								b != nil && rate.Take(b, now, 0).Remaining != rate.Requests-taken {
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
		s.rebuild(s.table.Load())
		if left := s.table.Load().used; left > 0 {
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
		subjects[i] = s.NewSubject()
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
