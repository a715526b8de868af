package limit

import "time"

// A span's word holds when it began, in milliseconds since the epoch, above the count of
// what it has admitted. 24 bits of count are more than MaxRequests. Zero is no span.
const (
	countBits = 24
	countMask = 1<<countBits - 1
)

type span struct {
	began int64 // milliseconds since the epoch
	count int64
}

func spanOf(word uint64) span { return span{int64(word >> countBits), int64(word & countMask)} }

func (s span) word() uint64 { return uint64(s.began)<<countBits | uint64(s.count) }

// at is the span that holds at a time: the same one, or a new one if it is over or has
// not begun. A clock that was set back starts the span anew from there with its count, so
// that a step neither frees what was used nor freezes the key until the old time comes again.
func (s span) at(milliseconds int64, per time.Duration) span {
	switch {
	case s.began == 0 || milliseconds-s.began >= per.Milliseconds():
		return span{began: milliseconds}
	case milliseconds < s.began:
		return span{milliseconds, s.count}
	}
	return s
}

func (r *Rule) takeSpan(b *Bucket, now time.Time, cost int64) Result {
	milliseconds := now.Sub(epoch).Milliseconds()
	for {
		word := b.word.Load()
		current := spanOf(word).at(milliseconds, r.Per)
		result := Result{Limit: r.Max, Allowed: cost >= 0 && cost <= r.Max-current.count}
		if result.Allowed {
			current.count += cost
		}
		// Asking for nothing only looks, and begins no span.
		if result.Allowed && cost > 0 && !b.word.CompareAndSwap(word, current.word()) {
			continue
		}
		// An edit may have lowered the limit below what was used already.
		result.Remaining = max(0, r.Max-current.count)
		result.ResetAt = epoch.Add(time.Duration(current.began)*time.Millisecond + r.Per)
		if cost == 0 && current.count == 0 {
			result.ResetAt = now // it is whole
		}
		if !result.Allowed {
			result.RetryAfter = result.ResetAt.Sub(now)
		}
		return result
	}
}

func (r *Rule) chargeSpan(b *Bucket, now time.Time, cost int64) {
	milliseconds := now.Sub(epoch).Milliseconds()
	for {
		word := b.word.Load()
		seen := spanOf(word)
		if cost < 0 && milliseconds < seen.began {
			return // another request began a new span meanwhile; that one gave nothing away
		}
		current := seen.at(milliseconds, r.Per)
		if cost < 0 && current.count == 0 {
			return // the span it was taken from is over
		}
		current.count = min(max(0, current.count+cost), countMask)
		if b.word.CompareAndSwap(word, current.word()) {
			return
		}
	}
}
