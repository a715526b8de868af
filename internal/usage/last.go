package usage

import (
	"strings"
	"time"
)

// codeValid is the code of a request that was allowed, as package policy names it.
const codeValid = "VALID"

// Last is the newest that is known of a key.
type Last struct {
	Workspace string
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
	last := Last{
		Workspace: e.Workspace, UsedAt: e.At,
		Remaining: e.Remaining, ResetAt: e.ResetAt,
		BudgetRemaining: e.BudgetRemaining, BudgetResetAt: e.BudgetResetAt,
	}
	last.Generations.Add(Generation{e.Generation, e.At})
	if e.Code == codeValid {
		last.PassedAt = e.At
	}
	return last
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
	if l.before(other) {
		*l = *other
	}
	l.PassedAt, l.Generations = passed, generations
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
	return strings.Compare(l.Workspace, other.Workspace) < 0
}
