package local

import (
	"slices"
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

// used is how many requests each attached rate has admitted.
func used(attached []limit.Attached) []int64 {
	var counts []int64
	for _, a := range attached {
		result := a.Rate.Take(a.Bucket, now, 0)
		counts = append(counts, result.Limit-result.Remaining)
	}
	return counts
}

func take(attached []limit.Attached, n int64) { limit.TakeAll(attached, now, n, nil) }

func TestASubjectKeepsItsBucketsOverAttachments(t *testing.T) {
	s := NewStore()
	s.Define("limit", []limit.Rate{perMinute(10)})
	take(s.Attach("limit", "key"), 3)

	if got := used(s.Attach("limit", "key")); !slices.Equal(got, []int64{3}) {
		t.Errorf("attached again: used %v, want 3", got)
	}
	if got := used(s.Attach("limit", "other")); !slices.Equal(got, []int64{0}) {
		t.Errorf("another subject: used %v, want 0", got)
	}
	s.ForgetSubject("key")
	if got := used(s.Attach("limit", "key")); !slices.Equal(got, []int64{0}) {
		t.Errorf("forgotten: used %v, want 0", got)
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
			s.Define("limit", test.before)
			take(s.Attach("limit", "key"), 3)
			s.Define("limit", test.after)
			if got := used(s.Attach("limit", "key")); !slices.Equal(got, test.want) {
				t.Errorf("used %v, want %v", got, test.want)
			}
		})
	}
}

func TestALimitThatWasNeverDefinedAttachesNothing(t *testing.T) {
	if got := NewStore().Attach("limit", "key"); got != nil {
		t.Errorf("got %v", got)
	}
}

// Whatever is attached and forgotten in whatever order: nothing stays once all subjects
// or all limits are forgotten.
func TestNothingIsKeptOfWhatIsForgotten(t *testing.T) {
	uid := rapid.SampledFrom([]types.UID{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore()
		t.Repeat(map[string]func(*rapid.T){
			"define": func(t *rapid.T) {
				s.Define("limit-"+uid.Draw(t, "limit"), rapid.SliceOfN(rapid.SampledFrom([]limit.Rate{perMinute(1), perHour(1), bursting(1)}), 0, 3).Draw(t, "rates"))
			},
			"attach":         func(t *rapid.T) { s.Attach("limit-"+uid.Draw(t, "limit"), uid.Draw(t, "subject")) },
			"forget subject": func(t *rapid.T) { s.ForgetSubject(uid.Draw(t, "subject")) },
			"forget limit":   func(t *rapid.T) { s.ForgetLimit("limit-" + uid.Draw(t, "limit")) },
			"": func(t *rapid.T) {
				for subject, where := range s.subjects {
					for _, c := range where {
						if len(c.buckets[subject]) != len(c.rates) {
							t.Fatalf("%s has %d buckets for %d rates", subject, len(c.buckets[subject]), len(c.rates))
						}
					}
				}
				for id, c := range s.limits {
					for subject := range c.buckets {
						if !slices.Contains(s.subjects[subject], c) {
							t.Fatalf("%s would be kept by %s for ever", subject, id)
						}
					}
				}
			},
		})
		for _, subject := range []types.UID{"a", "b", "c"} {
			s.ForgetSubject(subject)
		}
		for id, c := range s.limits {
			if len(c.buckets) > 0 {
				t.Fatalf("%s still has buckets", id)
			}
		}
		if len(s.subjects) > 0 {
			t.Fatalf("%d subjects are left", len(s.subjects))
		}
	})
}
