package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
)

// Report is what became of a request that a Verify let pass. RequestID and the key must be there.
//
// Its Outcome, and what else it tells, is kept with the usage: see docs/analytics.md.
type Report struct {
	// RequestID is the ID of the Request. Of several reports of one request by one key only the first
	// counts, so it must not be for a client to choose: who sends the same ID again and again would pay once.
	RequestID string
	// Key is the key in plain text, or KeyID who it was: one of the two.
	Key   string
	KeyID KeyID
	// ClientIP is where whoever presents the Key is. Reporting keys that there are not counts there, as
	// presenting them to Verify does; where it is not known, and with a KeyID, which is no secret, it does not.
	ClientIP netip.Addr
	// SpendMicrocents is what the request cost, besides what was stated in its Cost. It is counted whether or not
	// the budget holds it: the next request is refused then.
	SpendMicrocents int64
	// Outcome is how the request ended; empty: that is not known.
	Outcome Outcome
	// Error says why the Outcome is OutcomeFailure, in at most MaxText bytes.
	Error string
	// Labels are what the usage is told apart by.
	Labels Labels
	// Resource is what the key was used on, as in the Request.
	Resource string
	// Latency is how long the request took: at most MaxLatency, zero where it is not known.
	Latency time.Duration
	// Bytes is how many were sent to the client, at most MaxBytes, and HTTPStatus what it was answered with; zero where
	// that is not known.
	Bytes      int64
	HTTPStatus int
}

// Outcome is how a request ended.
type Outcome string

// The outcomes.
const (
	OutcomeSuccess Outcome = "success"
	OutcomeFailure Outcome = "failure"
)

// MaxLatency is how long a request can have taken.
const MaxLatency = 24 * time.Hour

// MaxBytes is how many can have been sent in answer to one request: 1 TiB. One report of more than there can be would spoil
// the sums of a month.
const MaxBytes = 1 << 40

// Reported is what a report changed.
type Reported struct {
	// Again says that the request was reported before, and this report counts for nothing.
	Again bool
	// Limits is how the key's limits stand now.
	Limits Limits
	// RetryAfter is how long to wait before the report is sent again, where that may be of use.
	RetryAfter time.Duration
	At         time.Time
}

// What may be wrong besides the report itself.
var (
	// ErrUnknownKey is the error of a report about a key that there is not, or not any more.
	ErrUnknownKey = errors.New("there is no such key; report with the key or the key ID of the decision")
	// ErrTooManyUnknownKeys takes the place of ErrUnknownKey where too many such keys were presented before.
	ErrTooManyUnknownKeys = errors.New("too many unknown keys came from this address; wait, and report with the key or the key ID of the decision")
	// ErrLimitsUnavailable is the error of a report that was not counted because shared limits cannot be
	// reached. It should be sent again.
	ErrLimitsUnavailable = errors.New("limits cannot be counted right now; send the report again")
)

// Report counts what was known only after a request: what it cost, and that it is no longer under way. A report
// that came too late for the second is no mistake. The error is one of the above, or says what is wrong with
// the report.
func (v *Verifier) Report(ctx context.Context, r Report) (reported Reported, err error) {
	reported.At = v.now()
	if err := r.validate(); err != nil {
		return reported, err
	}
	var entry keyindex.Entry
	if !v.find(&r, &entry) {
		return reported, v.unknown(&reported, &r)
	}
	if err := v.count(ctx, &reported, &entry, &r); err != nil {
		reported.RetryAfter = unavailableFor
		return reported, fmt.Errorf("%w: %w", ErrLimitsUnavailable, err)
	}
	v.look(&reported.Limits, &entry, reported.At)
	return reported, nil
}

// count charges and records a report, unless it did so before. Whoever is told that a report was taken, be it for the second
// time, may forget it: until then it must be where it outlives this process.
//
// So reports of one request wait for each other: what this verifier has seen before is recorded then, and not only about to be,
// or was forgotten again as it could not be charged. And what another verifier has seen (or this one, before it was started
// again) is recorded here once more: the mark by which that is known is made before the other records it, and it may be killed
// in between. The store of usage counts it once, by the key and the request's ID. It is recorded after it was charged, so that
// what is refused, and will be sent again, leaves no trace.
func (v *Verifier) count(ctx context.Context, reported *Reported, entry *keyindex.Entry, r *Report) (err error) {
	held := turn{entry.Key.ID, r.RequestID}
	if err := v.turns.take(ctx, held); err != nil {
		return err
	}
	defer v.turns.leave(held)
	if reported.Again = v.reports.Seen(entry.Key.ID, r.RequestID, reported.At); reported.Again {
		return nil
	}
	if reported.Again, err = v.charge(ctx, entry, r, reported.At); err != nil {
		v.reports.Forget(entry.Key.ID, r.RequestID)
		return err
	}
	if v.recorder != nil && r.tells() {
		v.recorder.Report(v.ended(r, entry, reported.At))
	}
	return nil
}

func (r *Report) validate() error {
	switch {
	case r.RequestID == "" || len(r.RequestID) > MaxText:
		return fmt.Errorf("requestId must be that of the decision, of 1 to %d bytes", MaxText)
	case (r.Key == "") == r.KeyID.IsZero():
		return errors.New("state key or keyId, and not both")
	case r.SpendMicrocents < 0 || r.SpendMicrocents > limit.MaxCounted:
		return fmt.Errorf("spendMicrocents must be from 0 to %d", int64(limit.MaxCounted))
	}
	return r.validateOutcome()
}

func (r *Report) validateOutcome() error {
	switch {
	case r.Outcome != "" && r.Outcome != OutcomeSuccess && r.Outcome != OutcomeFailure:
		return errors.New("outcome must be success or failure; leave it out where it is not known")
	case r.Error != "" && r.Outcome != OutcomeFailure:
		return errors.New("error says why a request failed; state the outcome failure, or leave it out")
	case len(r.Error) > MaxText:
		return tooLong("error")
	case len(r.Labels.Tier) > MaxText:
		return tooLong("labels.tier")
	case len(r.Labels.Domain) > MaxText:
		return tooLong("labels.domain")
	case len(r.Resource) > MaxText:
		return tooLong("resource")
	case r.Bytes < 0 || r.Bytes > MaxBytes:
		return fmt.Errorf("bytes must be from 0 to %d", int64(MaxBytes))
	case r.HTTPStatus != 0 && (r.HTTPStatus < 100 || r.HTTPStatus > 999):
		return errors.New("httpStatus must be that of the answer, of three digits; leave it out where it is not known")
	case r.Latency < 0 || r.Latency > MaxLatency:
		return fmt.Errorf("latencyMs must be from 0 to %d", MaxLatency.Milliseconds())
	}
	return nil
}

// unknown slows whoever tries keys by reporting them, as Verify does. A key ID is no secret to be guessed.
func (v *Verifier) unknown(reported *Reported, r *Report) error {
	if r.Key != "" {
		if wait, throttled := v.sources.Failed(r.ClientIP, reported.At); throttled {
			v.metrics.throttled.Inc()
			reported.RetryAfter = wait
			return ErrTooManyUnknownKeys
		}
	}
	return ErrUnknownKey
}

// find finds the key that a report is about, in whatever state it is: what it used before it was
// revoked, it used. It needs a workspace all the same, as without one it belongs to nobody.
func (v *Verifier) find(r *Report, entry *keyindex.Entry) bool {
	if r.Key == "" {
		return v.index.Find(r.KeyID, entry)
	}
	return v.lookup(r.Key, entry) &&
		policy.Check(&policy.Request{}, &entry.Record, time.Time{}) != policy.CodeKeyInvalid
}

// charge counts a report against the limits of a key, in shadow or not, unless another verifier did.
func (v *Verifier) charge(ctx context.Context, entry *keyindex.Entry, r *Report, now time.Time) (again bool, err error) {
	if v.shared != nil {
		return v.shared.charge(ctx, entry, r, now)
	}
	number := slotNumber(r.RequestID)
	for i := range entry.Limits {
		switch attached := entry.Attached(i); attached.Rule.Kind {
		case limit.Budget:
			if r.SpendMicrocents > 0 {
				attached.Rule.Charge(attached.Bucket, now, r.SpendMicrocents)
			}
		case limit.Concurrency:
			attached.Slots.Release(number, now.UnixNano())
		}
	}
	return false, nil
}
