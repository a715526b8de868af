package verifier

import (
	"hash/fnv"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
)

// decided is the event of a decision.
func decided(code policy.Code, r *Request, entry *keyindex.Entry, refusal *usage.Refusal, d *Decision) usage.Event {
	e := eventOf(entry, r.ID, d.At)
	e.Generation = entry.Key.Generation
	e.Tier, e.Domain, e.Resource = unlessKey(r.Labels.Tier), unlessKey(r.Labels.Domain), unlessKey(r.Resource)
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
func ended(r *Report, entry *keyindex.Entry, at time.Time) usage.Event {
	e := eventOf(entry, r.RequestID, at)
	e.Tier, e.Domain, e.Resource = unlessKey(r.Labels.Tier), unlessKey(r.Labels.Domain), unlessKey(r.Resource)
	switch r.Outcome {
	case OutcomeSuccess:
		e.Status = usage.Succeeded
	case OutcomeFailure:
		e.Status, e.Error = usage.Failed, unlessKey(r.Error)
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

// redacted takes the place of a text with a key in it. Texts are for services to choose, and what is counted is shown to
// more people than may see a key.
const redacted = "(redacted)"

func unlessKey(text string) string {
	if text != "" && (strings.Contains(text, "_live_") || strings.Contains(text, "_test_")) {
		return redacted
	}
	return text
}
