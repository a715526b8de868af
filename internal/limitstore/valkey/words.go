package valkey

import (
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// What is in the word of a limit.Bucket, as internal/limit has it: of a Span when it began, in
// milliseconds, above 24 bits of count; of Tokens the nanosecond at which they are full; and of what is counted by a
// calendar the day on which the period ends above 48 bits of count.
const (
	spanBits    = 24
	countedBits = 48
)

// epoch is where the clock of the words begins.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func spanWord(began, count int64) uint64 {
	return uint64(began)<<spanBits | uint64(count)&(1<<spanBits-1)
}

func spanOf(word uint64) (began, count int64) {
	return int64(word >> spanBits), int64(word & (1<<spanBits - 1))
}

func countedWord(endDay, count int64) uint64 {
	return uint64(endDay)<<countedBits | uint64(count)&(1<<countedBits-1)
}

func countedOf(word uint64) (endDay, count int64) {
	return int64(word >> countedBits), int64(word & (1<<countedBits - 1))
}

func milliseconds(t time.Time) int64 { return t.Sub(epoch).Milliseconds() }
func nanoseconds(t time.Time) int64  { return t.Sub(epoch).Nanoseconds() }

// interval is the time in which one token flows in, in nanoseconds.
func interval(r *limit.Rule) int64 { return (int64(r.Per) + r.Max - 1) / r.Max }

// wordOf is what the script tells of a counter, as a word by the clock of whoever asked.
func wordOf(r *limit.Rule, now time.Time, a, b int64) uint64 {
	switch r.Kind {
	case limit.Span:
		if a < 0 {
			return 0
		}
		return spanWord(max(0, milliseconds(now)-a), max(0, b))
	case limit.Tokens:
		if a <= 0 {
			return 0 // full, and if the clock is set back as well
		}
		return uint64(max(0, nanoseconds(now)+a))
	}
	if b <= 0 {
		return 0 // nothing is counted, in whichever period
	}
	return countedWord(max(0, a), b)
}

// seedOf is wordOf the other way around. Nothing known is ok=false.
func seedOf(r *limit.Rule, now time.Time, word uint64) (a, b int64, ok bool) {
	switch r.Kind {
	case limit.Span:
		began, count := spanOf(word)
		return milliseconds(now) - began, count, word != 0
	case limit.Tokens:
		return int64(word) - nanoseconds(now), 0, word != 0
	}
	endDay, count := countedOf(word)
	return endDay, count, word != 0
}
