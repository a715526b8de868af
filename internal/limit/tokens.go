package limit

import (
	"math"
	"time"
)

// A token bucket's word is the theoretical arrival time of GCRA, in nanoseconds since the
// epoch: the moment at which the bucket will be full. Zero, or any time past, is full now.

// forever bounds every sum of times below what an int64 holds: 73 years.
const forever = math.MaxInt64 / 4

// interval is the time in which one request flows in, in nanoseconds. It is rounded up, so that
// what flows in is never more than the rate.
func (r *Rule) interval() int64 { return (int64(r.Per) + r.Max - 1) / r.Max }

// fill is the time in which n requests flow in, in nanoseconds.
func (r *Rule) fill(n int64) int64 {
	interval := r.interval()
	if n > forever/interval {
		return forever
	}
	return n * interval
}

func (r *Rule) takeTokens(b *Bucket, now time.Time, cost int64) Result {
	var (
		nanoseconds = now.Sub(epoch).Nanoseconds()
		capacity    = r.fill(r.Burst)
		needed      = r.fill(cost)
	)
	for {
		word := b.word.Load()
		full := r.fullAt(word, nanoseconds)
		result := Result{Limit: r.Burst, Allowed: cost >= 0 && cost <= r.Burst && full+needed-nanoseconds <= capacity}
		if result.Allowed && cost > 0 {
			full += needed
			if !b.word.CompareAndSwap(word, uint64(full)) {
				continue
			}
		}
		result.Remaining = max(0, (capacity-(full-nanoseconds))/r.interval())
		result.ResetAt = epoch.Add(time.Duration(full))
		if !result.Allowed {
			result.RetryAfter = time.Duration(min(needed, capacity) + full - nanoseconds - capacity)
		}
		return result
	}
}

func (r *Rule) chargeTokens(b *Bucket, now time.Time, cost int64) {
	nanoseconds := now.Sub(epoch).Nanoseconds()
	for {
		word := b.word.Load()
		full := r.fullAt(word, nanoseconds)
		if cost < 0 {
			full = max(nanoseconds, full-r.fill(-cost))
		} else {
			full = min(full+r.fill(cost), nanoseconds+r.fill(r.Burst))
		}
		if b.word.CompareAndSwap(word, uint64(full)) {
			return
		}
	}
}

// fullAt reads the word. It is never before now, and never further away than an empty bucket
// takes to fill: a clock that was set back, or an edit that made the bucket smaller, leaves it
// empty at worst.
func (r *Rule) fullAt(word uint64, nanoseconds int64) int64 {
	return min(max(int64(word), nanoseconds), nanoseconds+r.fill(r.Burst))
}
