package limit

import "time"

// A token bucket's word is the theoretical arrival time of GCRA, in nanoseconds since the
// epoch: the moment at which the bucket will be full. Zero, or any time past, is full now.

// interval is the time in which one request flows in, in nanoseconds. A rate above one a
// nanosecond cannot be, since a span is at least a second.
func (r Rate) interval() int64 { return int64(r.Per) / r.Requests }

func (r Rate) takeTokens(b *Bucket, now time.Time, cost int64) Result {
	var (
		nanoseconds = now.Sub(epoch).Nanoseconds()
		interval    = r.interval()
		capacity    = interval * r.Burst
	)
	for {
		word := b.word.Load()
		full := r.fullAt(word, nanoseconds)
		result := Result{Limit: r.Burst, Allowed: cost >= 0 && cost <= r.Burst && full+cost*interval-nanoseconds <= capacity}
		if result.Allowed {
			full += cost * interval
			if !b.word.CompareAndSwap(word, uint64(full)) {
				continue
			}
		}
		result.Remaining = max(0, (capacity-(full-nanoseconds))/interval)
		result.ResetAt = epoch.Add(time.Duration(full))
		if !result.Allowed {
			result.RetryAfter = time.Duration(min(cost, r.Burst)*interval + full - nanoseconds - capacity)
		}
		return result
	}
}

func (r Rate) returnTokens(b *Bucket, now time.Time, cost int64) {
	nanoseconds := now.Sub(epoch).Nanoseconds()
	for {
		word := b.word.Load()
		full := r.fullAt(word, nanoseconds)
		if b.word.CompareAndSwap(word, uint64(max(nanoseconds, full-cost*r.interval()))) {
			return
		}
	}
}

// fullAt reads the word. It is never before now, and never further away than an empty bucket
// takes to fill: a clock that was set back, or an edit that made the bucket smaller, leaves it
// empty at worst.
func (r Rate) fullAt(word uint64, nanoseconds int64) int64 {
	return min(max(int64(word), nanoseconds), nanoseconds+r.interval()*r.Burst)
}
