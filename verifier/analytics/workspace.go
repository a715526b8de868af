package analytics

import (
	"net/http"
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// So many of the busiest are told of in an overview.
const busiest = 10

// overview is a workspace at a glance, and how it was for as long a time before.
func (q *question) overview(a *answer) error {
	total, err := q.total(q.filter())
	if err != nil {
		return err
	}
	keys, err := q.by(q.filter(), usagestore.ByKey)
	if err != nil {
		return err
	}
	codes, err := q.by(q.filter(), usagestore.ByError)
	if err != nil {
		return err
	}
	now := q.span
	q.span = q.kept(span{now.from.Add(-now.to.Sub(now.from)), now.from, now.zone})
	before, err := q.total(q.filter())
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		Workspace string `json:"workspace"`
		told
		totals
		Before     period  `json:"before"`
		ActiveKeys int     `json:"activeKeys"`
		Keys       []named `json:"keys"`
		Errors     []named `json:"errors"`
	}{q.workspace, now.told(), totalsOf(&total), period{q.span.told(), totalsOf(&before)}, len(keys), listed(first(keys, busiest)), listed(first(withName(codes), busiest))})
}

// period is what was used in a range that is not the question's own.
type period struct {
	told
	totals
}

// withName leaves out what is of no value in particular.
func withName(rows []usagestore.Row) []usagestore.Row {
	return slices.DeleteFunc(rows, func(row usagestore.Row) bool { return row.Values[0] == "" })
}

// costs is what was spent: in all, by the day, and on whom.
func (q *question) costs(a *answer) error {
	total, err := q.total(q.filter())
	if err != nil {
		return err
	}
	days, err := q.series(q.filter(), usagestore.ByDay)
	if err != nil {
		return err
	}
	sides := map[usagestore.Dimension][]cost{}
	for _, dimension := range []usagestore.Dimension{usagestore.ByKey, usagestore.ByDepartment, usagestore.ByEntity} {
		list, err := q.by(q.filter(), dimension)
		if err != nil {
			return err
		}
		sides[dimension] = []cost{}
		for _, n := range listed(list) {
			sides[dimension] = append(sides[dimension], cost{n.Name, n.SpendMicrocents})
		}
	}
	daily := make([]dayCost, len(days))
	for i := range days {
		daily[i] = dayCost{days[i].Start, days[i].SpendMicrocents}
	}
	return a.json(http.StatusOK, struct {
		Workspace string `json:"workspace"`
		told
		SpendMicrocents int64     `json:"spendMicrocents"`
		Days            []dayCost `json:"days"`
		Keys            []cost    `json:"keys"`
		Departments     []cost    `json:"departments"`
		Entities        []cost    `json:"entities"`
	}{q.workspace, q.span.told(), total.SpendMicrocents, daily, sides[usagestore.ByKey], sides[usagestore.ByDepartment], sides[usagestore.ByEntity]})
}

type cost struct {
	Name            string `json:"name"`
	SpendMicrocents int64  `json:"spendMicrocents"`
}

type dayCost struct {
	Start           time.Time `json:"start"`
	SpendMicrocents int64     `json:"spendMicrocents"`
}

// subjects are whose usage may be asked for: of one at a time.
var subjects = []string{"agent", "member", "department", "serviceAccount", "key"}

// usage is what a workspace used, or one of its agents, members, departments, accounts or keys.
func (q *question) usage(a *answer) error {
	f, subject := q.filter(), ""
	for _, name := range subjects {
		value, ok := q.values[name]
		switch {
		case !ok:
			continue
		case subject != "":
			return malformed("%s and %s cannot be asked for at once: use one of them", subject, name)
		}
		subject = name
		switch name {
		case "agent", "member":
			f.Equal[usagestore.ByEntityKind] = []string{map[string]string{"agent": "Agent", "member": "Member"}[name]}
			f.Equal[usagestore.ByEntity] = []string{value}
		default:
			f.Equal[usagestore.Dimension(name)] = []string{value}
		}
	}
	every, err := q.granularity()
	if err != nil {
		return err
	}
	total, err := q.total(f)
	if err != nil {
		return err
	}
	points, err := q.series(f, every)
	if err != nil {
		return err
	}
	return a.json(http.StatusOK, struct {
		Workspace string `json:"workspace"`
		told
		totals
		Granularity usagestore.Bucket `json:"granularity"`
		Points      []point           `json:"points"`
	}{q.workspace, q.span.told(), totalsOf(&total), every, points})
}

// Periods are told of at most for as long as the days of them are kept.
const (
	usualPeriods = 12
	mostPeriods  = 60
)

// history is the usage of billing periods, the newest first; where no hours are kept any more, of the days of UTC
// that are closest to them.
func (q *question) history(a *answer) error {
	count, err := q.number("months", usualPeriods, 1, mostPeriods)
	if err != nil {
		return err
	}
	calendar := q.calendar()
	periods := make([]period, 0, count)
	for at := q.now; len(periods) < count; {
		p := calendar.At(at)
		q.span = q.kept(span{p.Start, p.End, calendar.Zone()})
		var total usage.Totals
		if total, err = q.total(q.filter()); err != nil {
			return err
		}
		periods = append(periods, period{q.span.told(), totalsOf(&total)})
		at = p.Start.Add(-time.Second)
	}
	return a.json(http.StatusOK, struct {
		Workspace string   `json:"workspace"`
		Periods   []period `json:"periods"`
	}{q.workspace, periods})
}
