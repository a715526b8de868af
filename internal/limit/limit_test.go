package limit

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSpan(t *testing.T) {
	perMinute := Rule{Max: 3, Per: time.Minute}
	type step struct {
		after     time.Duration // since the start
		cost      int64
		allowed   bool
		remaining int64
		retry     time.Duration
	}
	tests := map[string][]step{
		"the request above the limit is refused until the span is over": {
			{0, 1, true, 2, 0}, {time.Second, 1, true, 1, 0}, {59 * time.Second, 1, true, 0, 0},
			{59 * time.Second, 1, false, 0, time.Second}, {time.Minute, 1, true, 2, 0},
		},
		"a span begins with its first request and not on the minute": {
			{30 * time.Second, 3, true, 0, 0}, {89 * time.Second, 1, false, 0, time.Second}, {90 * time.Second, 1, true, 2, 0},
		},
		"a cost is taken whole or not at all": {
			{0, 2, true, 1, 0}, {0, 2, false, 1, time.Minute}, {0, 1, true, 0, 0},
		},
		"a cost above the limit is never allowed": {{0, 4, false, 3, time.Minute}},
		"a negative cost gives nothing back":      {{0, 3, true, 0, 0}, {0, -1, false, 0, time.Minute}},
		"a clock set back keeps what was used": {
			{time.Hour, 3, true, 0, 0}, {0, 1, false, 0, time.Minute}, {time.Minute, 1, false, 0, time.Minute},
		},
		"a clock set far forward frees the span once": {
			{0, 3, true, 0, 0}, {1000 * time.Hour, 3, true, 0, 0}, {1000 * time.Hour, 1, false, 0, time.Minute},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			var bucket Bucket
			for i, s := range steps {
				got := perMinute.Take(&bucket, start.Add(s.after), s.cost)
				if got.Allowed != s.allowed || got.Remaining != s.remaining || got.RetryAfter != s.retry {
					t.Errorf("step %d: %+v, want %+v", i, got, s)
				}
			}
		})
	}
}

// A refused clock step above begins the span anew, which is only stored with the next
// request that is allowed; the retry it names must nevertheless come true.
func TestRetryAfterComesTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		var bucket Bucket
		now := start
		for range 50 {
			cost := rapid.Int64Range(1, r.Capacity()).Draw(t, "cost")
			result := r.Take(&bucket, now, cost)
			if !result.Allowed {
				if result.RetryAfter <= 0 {
					t.Fatalf("refused and told to retry after %v", result.RetryAfter)
				}
				if again := r.Take(&bucket, now.Add(result.RetryAfter), cost); !again.Allowed {
					t.Fatalf("%v: refused again after the %v it was told to wait", r, result.RetryAfter)
				}
				now = now.Add(result.RetryAfter)
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(r.Per)).Draw(t, "pause")))
		}
	})
}

func TestASpanNeverHoldsMoreThanItsRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Max: rapid.Int64Range(1, 50).Draw(t, "requests"), Per: time.Minute}
		var (
			bucket   Bucket
			now      = start
			began    time.Time
			admitted int64
		)
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "pause"))).Truncate(time.Millisecond)
			if began.IsZero() || now.Sub(began) >= r.Per {
				began, admitted = time.Time{}, 0
			}
			cost := rapid.Int64Range(1, 5).Draw(t, "cost")
			result := r.Take(&bucket, now, cost)
			if want := cost <= r.Max-admitted; result.Allowed != want {
				t.Fatalf("%d of %d used, asked for %d: allowed %v", admitted, r.Max, cost, result.Allowed)
			}
			if result.Allowed {
				if began.IsZero() {
					began = now
				}
				admitted += cost
			}
		}
	})
}

// golang.org/x/time/rate computes the same token bucket in floating point, so it is asked
// only where a request more or less does not hang on a rounding.
func TestTokensAgreeWithTheReferenceImplementation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Kind: Tokens, Max: 60, Per: time.Minute, Burst: rapid.Int64Range(1, 20).Draw(t, "burst")}
		reference := rate.NewLimiter(rate.Every(time.Second), int(r.Burst))
		var bucket Bucket
		now := start
		for range 200 {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "tenths")) * 100 * time.Millisecond)
			cost := rapid.IntRange(1, int(r.Burst)).Draw(t, "cost")
			tokens := reference.TokensAt(now)
			want := reference.AllowN(now, cost)
			got := r.Take(&bucket, now, int64(cost))
			if got.Allowed != want {
				if near := tokens - float64(cost); -1e-6 < near && near < 1e-6 {
					return
				}
				t.Fatalf("%d of %v tokens: allowed %v, the reference says %v", cost, tokens, got.Allowed, want)
			}
		}
	})
}

func TestTokensNeverExceedBurstPlusFlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{
			Kind:  Tokens,
			Max:   rapid.Int64Range(1, 1000).Draw(t, "requests"),
			Burst: rapid.Int64Range(1, 1000).Draw(t, "burst"),
			Per:   time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "per")),
		}
		var bucket Bucket
		var admitted, elapsed int64
		for range 100 {
			pause := rapid.Int64Range(0, int64(r.Per)/10).Draw(t, "pause")
			elapsed += pause
			cost := rapid.Int64Range(1, r.Burst).Draw(t, "cost")
			if r.Take(&bucket, start.Add(time.Duration(elapsed)), cost).Allowed {
				admitted += cost
			}
			if bound := r.Burst + int64(float64(elapsed)/float64(r.Per)*float64(r.Max)) + 1; admitted > bound {
				t.Fatalf("admitted %d in %v, more than %d", admitted, time.Duration(elapsed), bound)
			}
		}
	})
}

func TestHugeRatesDoNotOverflow(t *testing.T) {
	r := Rule{Kind: Tokens, Max: 1, Burst: MaxRequests, Per: 744 * time.Hour}
	var bucket Bucket
	if got := r.Take(&bucket, start, 1); !got.Allowed || got.ResetAt.Before(start) {
		t.Errorf("%+v", got)
	}
	if got := r.Take(&bucket, start, MaxRequests+1); got.Allowed {
		t.Errorf("more than the burst was allowed: %+v", got)
	}
}

func TestAnEditHandsOutNothing(t *testing.T) {
	tests := map[string]struct {
		before, after Rule
		remaining     int64
	}{
		"a higher limit adds the difference":  {Rule{Max: 5, Per: time.Minute}, Rule{Max: 8, Per: time.Minute}, 3},
		"a lower limit leaves nothing":        {Rule{Max: 5, Per: time.Minute}, Rule{Max: 2, Per: time.Minute}, 0},
		"a smaller token bucket stays empty":  {Rule{Kind: Tokens, Max: 5, Burst: 5, Per: time.Minute}, Rule{Kind: Tokens, Max: 5, Burst: 2, Per: time.Minute}, 0},
		"an unchanged rate goes on as it was": {Rule{Max: 5, Per: time.Minute}, Rule{Max: 5, Per: time.Minute}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var bucket Bucket
			test.before.Take(&bucket, start, 5)
			bucket.SetWord(test.after.Carry(&test.before, bucket.Word(), start))
			if got := test.after.Take(&bucket, start, 0); got.Remaining != test.remaining {
				t.Errorf("%d remain, want %d", got.Remaining, test.remaining)
			}
		})
	}
}

func TestTakeAllIsAllOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rates := rapid.SliceOfN(rapid.Custom(drawRate), 1, 4).Draw(t, "rates")
		attached := make([]Attached, len(rates))
		for i, r := range rates {
			attached[i] = Attached{Rule: &r, Bucket: new(Bucket)}
		}
		now := start
		for range 50 {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * time.Millisecond)
			before := remaining(attached, now)
			results, refused := TakeAll(attached, now, Cost{Requests: 1}, nil)
			after := remaining(attached, now)
			for i := range attached {
				want := before[i] - 1
				if refused >= 0 {
					want = before[i]
				}
				if after[i] != want {
					t.Fatalf("limit %d of %v: %d before, %d after, refused by %d", i, rates, before[i], after[i], refused)
				}
				if i < len(results) && results[i].Remaining != after[i] {
					t.Fatalf("limit %d told %d remaining, has %d", i, results[i].Remaining, after[i])
				}
			}
		}
	})
}

// Between a Take and its Return another request may begin the next span.
func TestALateReturnFreesNothingInTheNextSpan(t *testing.T) {
	r := Rule{Max: 2, Per: time.Minute}
	var bucket Bucket
	end, next := start.Add(time.Minute-time.Second), start.Add(time.Minute)
	r.Take(&bucket, start, 1)
	r.Take(&bucket, end, 1)
	r.Take(&bucket, next, 2)
	r.Charge(&bucket, end, -1)
	if got := r.Take(&bucket, next, 1); got.Allowed {
		t.Errorf("a third request is allowed in a span of two: %+v", got)
	}
}

func TestConcurrentTakersShareExactlyTheLimit(t *testing.T) {
	for name, r := range map[string]Rule{
		"span":   {Max: 1000, Per: time.Minute},
		"tokens": {Kind: Tokens, Max: 1000, Burst: 1000, Per: time.Minute},
		"quota":  {Kind: Quota, Max: 1000, Calendar: NewCalendar(Daily, 1, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			var (
				bucket  Bucket
				allowed atomic.Int64
				group   sync.WaitGroup
			)
			for range 8 {
				group.Go(func() {
					for range 500 {
						if r.Take(&bucket, start, 1).Allowed {
							allowed.Add(1)
						}
					}
				})
			}
			group.Wait()
			if allowed.Load() != r.Max {
				t.Errorf("%d allowed of %d", allowed.Load(), r.Max)
			}
		})
	}
}

func remaining(attached []Attached, now time.Time) []int64 {
	var all []int64
	for _, a := range attached {
		all = append(all, a.Look(now).Remaining)
	}
	return all
}

func drawRate(t *rapid.T) Rule {
	r := Rule{
		Max:   rapid.Int64Range(1, 20).Draw(t, "requests"),
		Burst: rapid.SampledFrom([]int64{0, 1, 5, 30}).Draw(t, "burst"),
		Per:   time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second,
	}
	if r.Burst > 0 {
		r.Kind = Tokens
	}
	return r
}
