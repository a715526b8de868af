package usage

import (
	"cmp"
	"strings"
	"time"
)

// Last is the newest that is known of a key.
type Last struct {
	Attribution
	// PeriodStart is when the billing period began that the key was last used in.
	PeriodStart time.Time
	// UsedAt is when the key was last presented; zero: only outcomes are known of it.
	UsedAt    time.Time
	Remaining int64
	ResetAt   time.Time

	BudgetRemaining int64
	BudgetResetAt   time.Time

	// PassedAt is when a request of it was last allowed; zero: none was. A limit that refused before
	// that does not any more.
	PassedAt time.Time

	Generations Generations
}

// LastOf is what an event tells of its key.
func LastOf(e *Event) Last {
	last := Last{Attribution: e.Attribution, PeriodStart: e.PeriodStart, Remaining: NoLimit, BudgetRemaining: NoLimit}
	if e.Status.Outcome() {
		return last // a report is no use of the key
	}
	last.UsedAt = e.At
	last.Remaining, last.ResetAt = e.Remaining, e.ResetAt
	last.BudgetRemaining, last.BudgetResetAt = e.BudgetRemaining, e.BudgetResetAt
	last.Generations.Add(Generation{e.Generation, e.At})
	if e.Status == Allowed {
		last.PassedAt = e.At
	}
	return last
}

// note takes over what an event tells that is newer. The next use of a key mostly differs in little from the one before,
// and there are many.
func (l *Last) note(e *Event) {
	if e.Status.Outcome() || !e.At.After(l.UsedAt) || e.Generation != l.Generations[0].Number || e.Attribution != l.Attribution {
		last := LastOf(e)
		l.Merge(&last)
		return
	}
	l.UsedAt, l.Remaining, l.ResetAt = e.At, e.Remaining, e.ResetAt
	l.BudgetRemaining, l.BudgetResetAt = e.BudgetRemaining, e.BudgetResetAt
	if e.Generation != 0 && e.At.After(l.Generations[0].UsedAt) {
		l.Generations[0].UsedAt = e.At
	}
	if e.Status == Allowed && e.At.After(l.PassedAt) {
		l.PassedAt = e.At
	}
	if e.PeriodStart.After(l.PeriodStart) {
		l.PeriodStart = e.PeriodStart
	}
}

// Merge takes over what another knows that is newer. The order of merging makes no difference.
func (l *Last) Merge(other *Last) {
	passed := l.PassedAt
	if other.PassedAt.After(passed) {
		passed = other.PassedAt
	}
	generations := l.Generations
	for _, used := range other.Generations {
		generations.Add(used)
	}
	period := l.PeriodStart
	if other.PeriodStart.After(period) {
		period = other.PeriodStart
	}
	if l.before(other) {
		*l = *other
	}
	l.PassedAt, l.Generations, l.PeriodStart = passed, generations, period
}

// before says which of two is told of: the newer one, and of two at the same moment the one
// with less left. The rest only makes sure that any order of merging ends the same.
func (l *Last) before(other *Last) bool {
	switch {
	case !l.UsedAt.Equal(other.UsedAt):
		return l.UsedAt.Before(other.UsedAt)
	case l.Remaining != other.Remaining:
		return other.Remaining < l.Remaining
	case l.BudgetRemaining != other.BudgetRemaining:
		return other.BudgetRemaining < l.BudgetRemaining
	case !l.ResetAt.Equal(other.ResetAt):
		return l.ResetAt.Before(other.ResetAt)
	case !l.BudgetResetAt.Equal(other.BudgetResetAt):
		return l.BudgetResetAt.Before(other.BudgetResetAt)
	}
	return cmp.Or(
		strings.Compare(l.Workspace, other.Workspace), strings.Compare(l.ServiceAccount, other.ServiceAccount),
		strings.Compare(l.EntityKind, other.EntityKind), strings.Compare(l.EntityID, other.EntityID),
		strings.Compare(l.Department, other.Department), strings.Compare(l.Environment, other.Environment),
	) < 0
}
