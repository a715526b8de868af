// Package limit counts requests against rates. It is pure: the time comes in as an
// argument, and what is counted lives in Buckets that the caller keeps.
//
// There are two ways to read "100 per minute". A Rate without a burst counts a span: it
// begins with its first request, holds at most Requests, and is whole again when it is over.
// A Rate with a burst is a token bucket by the generic cell rate algorithm (ITU-T I.371, GCRA):
// Burst requests at once, and then an even flow of Requests per span.
package limit

import (
	"sync/atomic"
	"time"
)

// Rate is a number of requests in a span of time.
type Rate struct {
	// Requests in each span, from 1 to MaxRequests.
	Requests int64
	// Burst is the size of the token bucket; zero: the span is counted instead.
	Burst int64
	// Per is the span, at least a second.
	Per time.Duration
}

// MaxRequests is the most that a Rate can count in a span, and the largest burst.
const MaxRequests = 10_000_000

// Bucket is what has been used of a rate. The zero value is unused. It is one word, so
// that no request ever waits for another; it means nothing without its Rate. An edited Rate goes on
// with the same Bucket, so that an edit hands out nothing by itself.
type Bucket struct {
	word atomic.Uint64
}

// Result is what a Rate answers.
type Result struct {
	Allowed bool
	// Limit is the most that can be taken at once from an unused bucket.
	Limit int64
	// Remaining is what could be taken now, after this answer.
	Remaining int64
	// ResetAt is when the bucket is whole again if nothing more is taken.
	ResetAt time.Time
	// RetryAfter is how long to wait until the same may be allowed; zero where it was.
	RetryAfter time.Duration
}

// Take asks for cost requests at a time: all of them or none. A cost above the limit is never allowed.
func (r Rate) Take(b *Bucket, now time.Time, cost int64) Result {
	if r.Burst > 0 {
		return r.takeTokens(b, now, cost)
	}
	return r.takeSpan(b, now, cost)
}

// Return gives back what a Take was allowed, because another limit refused the request.
func (r Rate) Return(b *Bucket, now time.Time, cost int64) {
	if r.Burst > 0 {
		r.returnTokens(b, now, cost)
		return
	}
	r.returnSpan(b, now, cost)
}

// epoch is where a Bucket's clock begins: late enough for the word's 40 bits of milliseconds
// to reach 2054, early enough that the past of any running program is positive.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
