package usage

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// exhaustion is a quota or a budget that a key has used up.
type exhaustion struct {
	v1alpha1.ExhaustedLimit
	limit *v1alpha1.KeyLimit
}

// exhaustion names what the feed told of; nil where nothing is used up. A limit that does not
// exist any more holds nobody back.
func (s statuses) exhaustion(ctx context.Context, told *usagefeed.Exhausted) (*exhaustion, error) {
	if told == nil {
		return nil, nil
	}
	var reason string
	switch told.Code {
	case policy.CodeQuotaExhausted.String():
		reason = v1alpha1.ReasonQuotaExhausted
	case policy.CodeBudgetExhausted.String():
		reason = v1alpha1.ReasonBudgetExhausted
	default:
		return nil, nil // a later verifier has more of them than the schema
	}
	limit, err := s.keyLimit(ctx, told.Limit)
	if err != nil || limit == nil {
		return nil, err
	}
	// Periods begin at whole seconds; what was reckoned over a wait may be off by a little.
	resetAt := told.ResetAt.UTC().Round(time.Second)
	return &exhaustion{v1alpha1.ExhaustedLimit{Limit: limit.Name, Reason: reason, ResetAt: metav1.Time{Time: resetAt}}, limit}, nil
}

// announced are the keys of which an Event has told that they ran out, until that is over. It is what a
// status knows too, but for those that ran out, got more and ran out again, or whose status was emptied.
type announced map[string]v1alpha1.ExhaustedLimit

func (a announced) forget(now time.Time) {
	for id, e := range a {
		if !e.ResetAt.After(now) {
			delete(a, id)
		}
	}
}

// announce tells in an Event that a key has run out, once for each limit and period. It comes before the status is
// written: a crash between the two repeats it, and does not lose it.
func (w *WriteBack) announce(id string, c *change) {
	e := c.exhausted
	apiKey, ok := c.object.(*v1alpha1.ApiKey)
	if !ok || e == nil {
		return
	}
	w.mu.Lock()
	before, known := w.announced[id]
	w.announced[id] = e.ExhaustedLimit
	w.mu.Unlock()
	if known && samePeriod(&before, &e.ExhaustedLimit) {
		return
	}
	if has := apiKey.Status.Usage; has != nil && has.Exhausted != nil && samePeriod(has.Exhausted, &e.ExhaustedLimit) {
		return
	}
	what, field := "quota", "spec.quota.requests"
	if e.Reason == v1alpha1.ReasonBudgetExhausted {
		what, field = "budget", "spec.quota.spendMicrocents"
	}
	w.events.Eventf(apiKey, e.limit, corev1.EventTypeWarning, e.Reason, "RefuseRequests", "%s", fmt.Sprintf(
		"The %s of KeyLimit %q is used up: requests with this key are refused until %s. To let them pass before, raise %s of the KeyLimit",
		what, e.Limit, e.ResetAt.UTC().Format(time.RFC3339), field))
}

// samePeriod says whether two are the same limit in the same period. Periods are a day at least, and clocks
// are not the same everywhere.
func samePeriod(a, b *v1alpha1.ExhaustedLimit) bool {
	return a.Limit == b.Limit && a.ResetAt.Sub(b.ResetAt.Time).Abs() < time.Hour
}
