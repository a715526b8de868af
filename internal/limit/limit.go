// Package limit counts requests, and what they cost, against rules. It is pure: the time comes
// in as an argument, and what is counted lives in Buckets and Slots that the caller keeps.
//
// There are two ways to read "100 per minute". A Span begins with its first request, holds at
// most Max, and is whole again when it is over. Tokens are a token bucket by the generic cell rate
// algorithm (ITU-T I.371, GCRA): Burst requests at once, and then an even flow of Max per span. Quotas
// and budgets are counted by the calendar, and Concurrency is how many requests are under way.
package limit

import (
	"sync/atomic"
	"time"
)

// Kind is what a Rule counts, and how.
type Kind uint8

const (
	// Span counts requests from the first one until Per has passed.
	Span Kind = iota
	// Tokens let Burst requests through at once, and then Max in each Per, evenly.
	Tokens
	// Quota counts requests in each period of a Calendar.
	Quota
	// Budget counts what requests cost in each period of a Calendar, in microcents. What one
	// costs may be known only afterwards.
	Budget
	// Concurrency counts the requests that are under way. One that is not reported done is taken
	// to be when Per has passed.
	Concurrency
)

// Rule is one thing that a subject is held to.
type Rule struct {
	Kind Kind
	// Max is how much there is in each span or period, or at once: from 1 to Kind's Most.
	Max int64
	// Burst is the size of the token bucket, of Tokens only.
	Burst int64
	// Per is the span, at least a second; of Concurrency the time after which a request is over.
	Per time.Duration
	// Calendar cuts the periods, of Quota and Budget only.
	Calendar *Calendar
}

const (
	// MaxRequests is the most that a Span can count, and the largest burst.
	MaxRequests = 10_000_000
	// MaxCounted is the most that a Quota or a Budget can count: 2.5 million dollars in microcents.
	MaxCounted = 250_000_000_000_000
	// MaxConcurrency is the most requests that can be told apart while they are under way.
	MaxConcurrency = 10_000
)

// Most is the largest Max of a kind of rule.
func (k Kind) Most() int64 {
	switch k {
	case Quota, Budget:
		return MaxCounted
	case Concurrency:
		return MaxConcurrency
	}
	return MaxRequests
}

// Capacity is the most that can be taken at once while nothing is used.
func (r *Rule) Capacity() int64 {
	if r.Kind == Tokens {
		return r.Burst
	}
	return r.Max
}

// Equal says whether two rules hold to the same.
func (r *Rule) Equal(other *Rule) bool {
	return r.Kind == other.Kind && r.Max == other.Max && r.Burst == other.Burst && r.Per == other.Per &&
		(r.Calendar == other.Calendar || r.Calendar != nil && other.Calendar != nil && r.Calendar.Equal(other.Calendar))
}

// Bucket is what has been used of a rule. The zero value is unused. It is one word, so
// that no request ever waits for another; it means nothing without its Rule.
type Bucket struct {
	word atomic.Uint64
}

// Word is the bucket's content, to be kept and put back.
func (b *Bucket) Word() uint64 { return b.word.Load() }

// SetWord puts back a bucket's content. What was counted meanwhile is lost.
func (b *Bucket) SetWord(word uint64) { b.word.Store(word) }

// Amend changes the bucket's content to what it was made into, and loses nothing that is counted meanwhile.
func (b *Bucket) Amend(change func(word uint64) uint64) {
	for {
		word := b.word.Load()
		if b.word.CompareAndSwap(word, change(word)) {
			return
		}
	}
}

// Result is what a Rule answers.
type Result struct {
	Allowed bool
	// Limit is the most that can be taken at once while nothing is used.
	Limit int64
	// Remaining is what could be taken now, after this answer.
	Remaining int64
	// ResetAt is when all of it can be taken again if nothing more is; for Concurrency when the
	// first of the requests under way is over at the latest.
	ResetAt time.Time
	// RetryAfter is how long to wait until the same may be allowed; zero where it was.
	RetryAfter time.Duration
}

// Take asks for an amount at a time: all of it or nothing. More than the limit is never allowed. A Budget that
// is asked for nothing, since nobody knows yet what the request will cost, allows it while
// anything is left. It is not for Concurrency: see Slots.
func (r *Rule) Take(b *Bucket, now time.Time, amount int64) Result {
	switch r.Kind {
	case Span:
		return r.takeSpan(b, now, amount)
	case Tokens:
		return r.takeTokens(b, now, amount)
	default:
		return r.takeCounted(b, now, amount)
	}
}

// Look tells how a bucket stands without taking anything, as if nothing had been refused.
func (r *Rule) Look(b *Bucket, now time.Time) Result {
	var result Result
	switch r.Kind {
	case Span:
		result = r.takeSpan(b, now, 0)
	case Tokens:
		result = r.takeTokens(b, now, 0)
	default:
		result = r.lookCounted(b, now)
	}
	result.Allowed, result.RetryAfter = true, 0
	return result
}

// Charge counts an amount that was used already, whether or not it fits; less than nothing gives back
// what a Take was allowed.
func (r *Rule) Charge(b *Bucket, now time.Time, amount int64) {
	switch r.Kind {
	case Span:
		r.chargeSpan(b, now, amount)
	case Tokens:
		r.chargeTokens(b, now, amount)
	default:
		r.chargeCounted(b, now, amount)
	}
}

// epoch is where a Bucket's clock begins: late enough for the word's 40 bits of milliseconds
// to reach 2054, early enough that the past of any running program is positive.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
