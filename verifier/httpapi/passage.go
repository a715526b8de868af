package httpapi

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// passage is a request that passed a Middleware, until its handler returns.
type passage struct {
	decision verifier.Decision
	id       string       // that it is under way by; empty: no limit counts that
	spend    atomic.Int64 // in microcents; less than nothing: the request is over
}

type passageKey struct{}

// DecisionFrom is the decision that let a request pass through a Middleware; nil: it came another way.
// It must not be changed.
func DecisionFrom(ctx context.Context) *verifier.Decision {
	p, _ := ctx.Value(passageKey{}).(*passage)
	if p == nil {
		return nil
	}
	return &p.decision
}

// Spend adds to what a request costs, in microcents, besides what was stated in its Requirements. When the handler
// returns, the sum is counted against the budgets of the key, whether or not they hold it. It is false where
// that cannot be: the request did not come through a Middleware or is over, or the amount is less than nothing.
func Spend(ctx context.Context, microcents int64) bool {
	p, _ := ctx.Value(passageKey{}).(*passage)
	if p == nil || microcents < 0 {
		return false
	}
	for {
		before := p.spend.Load()
		if before < 0 {
			return false
		}
		// No report may be of more, and no sum may overflow.
		after := min(before+min(microcents, limit.MaxCounted), limit.MaxCounted)
		if p.spend.CompareAndSwap(before, after) {
			return true
		}
	}
}

// reportPatience is how long a client may be made to wait for the end of its answer, where limits are shared.
const reportPatience = time.Second

// over reports that a request is no longer under way, and what it cost, where a limit may count that.
func (m *middleware) over(ctx context.Context, p *passage) {
	spend := max(0, p.spend.Swap(-1))
	if p.id == "" && spend == 0 {
		return
	}
	if p.id == "" {
		p.id = presented.RequestID("")
	}
	// That the client has gone changes nothing about what it cost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportPatience)
	defer cancel()
	report := verifier.Report{RequestID: p.id, KeyID: p.decision.Key.ID, SpendMicrocents: spend}
	if _, err := m.verifier.Report(ctx, report); err != nil && m.options.ReportFailed != nil {
		m.options.ReportFailed(report, err)
	}
}

// freshID is an ID that no other request has had: a client may send the same one with all of its requests, and
// would pay for the first alone. It stays with the exchange until something is counted under it, so that
// most requests need no new one.
func (x *exchange) freshID() string {
	if x.ownID == "" {
		x.ownID = presented.RequestID("")
	}
	return x.ownID
}
