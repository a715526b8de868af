package limit

import "time"

// The word of a quota or a budget holds the day on which its period ends, in days since 2020, above the
// count: 16 bits reach 2199, and 48 bits of count are more than MaxCounted. Zero is no period.
const (
	amountBits = 48
	amountMask = 1<<amountBits - 1
)

type counted struct {
	endDay int64
	count  int64
}

func countedOf(word uint64) counted {
	return counted{int64(word >> amountBits), int64(word & amountMask)}
}

func (c counted) word() uint64 { return uint64(c.endDay)<<amountBits | uint64(c.count) }

// countedAt is what counts at a time: in the period that was counted in last if that is not over, or in a new one. A
// period that ends later than the calendar has it is one of before the clock was set back, and is
// kept, so that a step back and forth frees nothing. One that ends sooner, and yet is not over, is
// one of before the calendar was edited, and is prolonged.
func (r *Rule) countedAt(word uint64, now time.Time) (counted, Period) {
	period := r.Calendar.At(now)
	end := int64(period.EndDay)
	current := countedOf(word)
	switch {
	case current.endDay == end:
	case current.endDay == 0 || current.endDay <= int64(r.Calendar.Day(now)):
		current = counted{endDay: end}
	default:
		current.endDay = max(current.endDay, end)
	}
	return current, period
}

func (r *Rule) takeCounted(b *Bucket, now time.Time, amount int64) Result {
	for {
		word := b.word.Load()
		current, period := r.countedAt(word, now)
		left := r.Max - current.count
		result := Result{Limit: r.Max, ResetAt: period.End, Allowed: amount >= 0 && amount <= left && left > 0}
		if result.Allowed && amount > 0 {
			current.count += amount
			if !b.word.CompareAndSwap(word, current.word()) {
				continue
			}
		}
		result.Remaining = max(0, r.Max-current.count)
		if !result.Allowed {
			result.RetryAfter = period.End.Sub(now)
		}
		return result
	}
}

func (r *Rule) lookCounted(b *Bucket, now time.Time) Result {
	current, period := r.countedAt(b.word.Load(), now)
	return Result{Limit: r.Max, Remaining: max(0, r.Max-current.count), ResetAt: period.End}
}

// chargeCounted may go over the limit: by the request that crosses it.
func (r *Rule) chargeCounted(b *Bucket, now time.Time, amount int64) {
	for {
		word := b.word.Load()
		current, _ := r.countedAt(word, now)
		if amount < 0 && current.count == 0 {
			return // the period it was taken in is over
		}
		current.count = min(max(0, current.count+amount), amountMask)
		if b.word.CompareAndSwap(word, current.word()) {
			return
		}
	}
}
