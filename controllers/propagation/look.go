package propagation

import (
	"context"
	"strings"
)

// look asks every verifier and keeps what they told. Where a connection is refused nothing uses a key that was revoked,
// so nobody is waited for there.
func (v *Verifiers) look(ctx context.Context) {
	began := v.clock.Now()
	answers := v.everyone.Ask(ctx)
	if ctx.Err() != nil {
		return
	}
	v.mu.Lock()
	v.newest = look{began: began, reports: answers.Reports, unknown: answers.Silent != nil}
	v.mu.Unlock()
	v.metrics.verifiers.Set(float64(len(answers.Reports)))
	v.tell(answers.Silent, len(answers.Reports))
}

// tell logs trouble once when it begins and once when it ends.
func (v *Verifiers) tell(err error, live int) {
	const all = ""
	trouble := all
	switch {
	case err != nil:
		trouble = "some"
	case live == 0:
		trouble = "none"
	}
	if trouble == v.trouble {
		return
	}
	v.trouble = trouble
	switch {
	case err != nil:
		v.log.Info("Not every verifier tells how far it has come: until they do, no revocation counts as complete", "reason", err.Error())
	case live == 0:
		v.log.Info("No verifier is there to tell how far it has come", "verifiers", strings.Join(v.options.VerifierURLs, ", "))
	default:
		v.log.Info("Every verifier tells how far it has come", "count", live)
	}
}
