package verifier

import (
	"hash/fnv"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
)

// decided is the event of a decision.
func decided(code policy.Code, r *Request, entry *keyindex.Entry, refusal *usage.Refusal, d *Decision) usage.Event {
	key := ""
	if entry.Foreign {
		key = r.Key
	}
	e := eventOf(entry, keptID(r.ID, key), d.At)
	e.Generation = entry.Key.Generation
	e.Tier, e.Domain, e.Resource = kept(r.Labels.Tier, key), kept(r.Labels.Domain, key), kept(r.Resource, key)
	if code == policy.CodeValid {
		e.SpendMicrocents = r.Cost.SpendMicrocents
	} else {
		e.Status, e.Error = usage.Denied, code.String()
	}
	e.Refusal = refusal
	e.Remaining, e.BudgetRemaining = usage.NoLimit, usage.NoLimit
	if tightest := d.Limits.tightest(); tightest != nil {
		e.Remaining, e.ResetAt = tightest.Remaining, tightest.ResetAt
	}
	if budget := d.Limits.budget(); budget != nil {
		e.BudgetRemaining, e.BudgetResetAt = budget.Remaining, budget.ResetAt
	}
	return e
}

// ended is the event of an outcome.
func (v *Verifier) ended(r *Report, entry *keyindex.Entry, at time.Time) usage.Event {
	kept := func(text string) string {
		if v.broughtIn(text, entry) { // which nothing else tells where it is reported by its ID
			return redacted
		}
		return kept(text, r.Key)
	}
	id := redacted
	if !v.broughtIn(r.RequestID, entry) {
		id = keptID(r.RequestID, r.Key)
	}
	e := eventOf(entry, id, at)
	e.Tier, e.Domain, e.Resource = kept(r.Labels.Tier), kept(r.Labels.Domain), kept(r.Resource)
	switch r.Outcome {
	case OutcomeSuccess:
		e.Status = usage.Succeeded
	case OutcomeFailure:
		e.Status, e.Error = usage.Failed, kept(r.Error)
	default:
		e.Status = usage.Reported
	}
	e.SpendMicrocents, e.Latency, e.Bytes, e.HTTPStatus = r.SpendMicrocents, r.Latency, r.Bytes, r.HTTPStatus
	return e
}

// tells says whether there is anything to count in a report, and not only that a request is over.
func (r *Report) tells() bool {
	return r.Outcome != "" || r.SpendMicrocents > 0 || r.Latency > 0 || r.Bytes > 0 || r.HTTPStatus > 0
}

// eventOf is what all events of a key have.
func eventOf(entry *keyindex.Entry, request string, at time.Time) usage.Event {
	c := entry.Class
	e := usage.Event{
		Key: entry.Key.ID,
		Attribution: usage.Attribution{
			Workspace: c.WorkspaceID, ServiceAccount: c.Account, Environment: c.Environment,
			EntityKind: c.Entity.Kind, EntityID: c.Entity.ID, Department: c.Entity.Department,
		},
		RequestID: request, At: at,
	}
	calendar := monthsInUTC
	if w := entry.Workspace; w != nil {
		if w.Billing != nil {
			calendar = w.Billing
		}
		if logged(&w.RequestLog, request) {
			e.KeepLine = w.RequestLog.Retention
		}
	}
	period := calendar.At(at)
	e.PeriodStart = period.Start
	// Time zones that are half an hour off are all year, or for a part of it.
	e.Quarters = period.Start.Unix()%usage.Hour != 0 || period.End.Unix()%usage.Hour != 0
	return e
}

// monthsInUTC are the billing periods of keys that belong to no workspace any more.
var monthsInUTC = limit.NewCalendar(limit.Monthly, 1, time.UTC)

// logged says whether a request gets a line in the log. That depends on its ID alone, so that how it was decided and how it
// ended are there together or not at all, whichever verifier they were told.
func logged(log *policy.RequestLog, request string) bool {
	switch {
	case log.Retention <= 0:
		return false
	case log.Percent <= 0 || log.Percent >= 100:
		return true
	}
	hash := fnv.New32a()
	hash.Write([]byte(request))
	return int(hash.Sum32()%100) < log.Percent
}
