package verifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// Report is what became of a request that a Verify let pass.
type Report struct {
	// RequestID is the ID of the Request. Of several reports of one request by one key only the first counts.
	RequestID string
	// Key is the key in plain text, or KeyID who it was: one of the two.
	Key   string
	KeyID KeyID
	// SpendMicrocents is what the request cost, besides what was stated in its Cost. It is counted whether or not
	// the budget holds it: the next request is refused then.
	SpendMicrocents int64
}

// Reported is what a report changed.
type Reported struct {
	// Again says that the request was reported before, and this report counts for nothing.
	Again bool
	// Limits is how the key's limits stand now.
	Limits Limits
	At     time.Time
}

// ErrUnknownKey is the error of a report about a key that there is not, or not any more.
var ErrUnknownKey = errors.New("there is no such key; report with the key or the key ID of the decision")

// Report counts what was known only after a request: what it cost, and that it is no longer under way. A report
// that came too late for the second is no mistake. The error says what is wrong with the report, or that
// shared limits cannot be reached; then it may be sent again.
func (v *Verifier) Report(ctx context.Context, r Report) (reported Reported, err error) {
	reported.At = v.now()
	if err := r.validate(); err != nil {
		return reported, err
	}
	var entry keyindex.Entry
	if !v.find(&r, &entry) {
		return reported, ErrUnknownKey
	}
	if reported.Again = v.reports.Seen(entry.Key.ID, r.RequestID, reported.At); !reported.Again {
		if err := v.charge(ctx, &entry, &r, reported.At); err != nil {
			v.reports.Forget(entry.Key.ID, r.RequestID)
			return reported, err
		}
	}
	v.look(&reported.Limits, &entry, reported.At)
	return reported, nil
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
	return nil
}

// find finds the key that a report is about, in whatever state it is: what it used before it was
// revoked, it used. It needs a workspace all the same, as without one it belongs to nobody.
func (v *Verifier) find(r *Report, entry *keyindex.Entry) bool {
	if r.Key == "" {
		return v.index.Find(r.KeyID, entry)
	}
	key, err := token.Parse(r.Key)
	return err == nil && v.index.Lookup(key.Hash(), entry) &&
		policy.Check(&policy.Request{}, &entry.Record, time.Time{}) != policy.CodeKeyInvalid
}

// charge counts a report against the limits of a key, in shadow or not.
func (v *Verifier) charge(ctx context.Context, entry *keyindex.Entry, r *Report, now time.Time) error {
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
	return nil
}
