package analytics

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// question is one that may be asked.
type question struct {
	*handler
	context.Context
	route     *route
	now       time.Time
	workspace string // that it is about
	key       string // the ID; empty: all of the workspace
	values    map[string]string
	span      span
}

// read reads the query. All of it must be understood: to ignore a misspelt filter would be to answer another question.
func (q *question) read(query string) (err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return malformed("the query cannot be read; escape what is special in URLs")
	}
	q.values = map[string]string{}
	for name, list := range values {
		switch accepted := q.route.accepted(); {
		case !slices.Contains(accepted, name):
			return malformed("there is no parameter %s here; there are %s", strconv.Quote(short(name)), strings.Join(accepted, ", "))
		case len(list) > 1:
			return malformed("%s is there more than once", name)
		case list[0] == "":
			return malformed("%s is empty; leave it out", name)
		case len(list[0]) > maxValue:
			return malformed("%s is longer than %d bytes", name, maxValue)
		}
		q.values[name] = list[0]
	}
	if q.route.dates != noDates {
		q.span, err = q.readSpan()
	}
	return err
}

const maxValue = 2 << 10

func short(name string) string { return name[:min(len(name), 64)] }

// number is a parameter's, within bounds.
func (q *question) number(name string, otherwise, least, most int) (int, error) {
	text, ok := q.values[name]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, malformed("%s must be a whole number from %d to %d", name, least, most)
	}
	return n, nil
}

// choice is a parameter that is one of several.
func (q *question) choice(name, otherwise string, of ...string) (string, error) {
	text, ok := q.values[name]
	switch {
	case !ok:
		return otherwise, nil
	case !slices.Contains(of, text):
		return "", malformed("%s must be one of %s", name, strings.Join(of, ", "))
	}
	return text, nil
}

// filter is what the question is about: the workspace and, of a key, that.
func (q *question) filter() usagestore.Filter {
	f := usagestore.Filter{Equal: map[usagestore.Dimension][]string{usagestore.ByWorkspace: {q.workspace}}}
	if q.key != "" {
		f.Equal[usagestore.ByKey] = []string{q.key}
	}
	return f
}

// filters are parameters that select by a dimension of the same name; several values stand with commas between them.
var filters = []string{"key", "serviceAccount", "entityKind", "entity", "department", "environment", "status", "error", "tier", "domain", "resource"}

// filtered is the filter with those that the query has.
func (q *question) filtered(names ...string) (usagestore.Filter, error) {
	f := q.filter()
	for _, name := range names {
		text, ok := q.values[name]
		if !ok {
			continue
		}
		list := strings.Split(text, ",")
		for _, value := range list {
			if _, known := usage.ParseStatus(value); name == "status" && !known {
				return f, malformed("status must be of %s", strings.Join(usage.Statuses[:], ", "))
			}
		}
		f.Equal[usagestore.Dimension(name)] = list
	}
	f.DomainContains = q.values["domainContains"]
	return f, nil
}

// sum asks for sums over the question's range.
func (q *question) sum(f usagestore.Filter, every usagestore.Bucket, by ...usagestore.Dimension) ([]usagestore.Row, error) {
	asked := q.query(f, every, by...)
	rows, err := q.Usage.Sum(q, &asked)
	if errors.Is(err, usagestore.ErrTooManyRows) {
		return nil, malformed("there would be more than %d rows to sum up: ask about fewer dimensions, a shorter range, or with a filter", usagestore.MaxRows)
	}
	return rows, err
}

func (q *question) query(f usagestore.Filter, every usagestore.Bucket, by ...usagestore.Dimension) usagestore.Query {
	return usagestore.Query{From: q.span.from, To: q.span.to, Filter: f, By: by, Every: every, Zone: q.span.zone, HoursSince: q.hoursSince()}
}

// total asks for one sum.
func (q *question) total(f usagestore.Filter) (total usage.Totals, err error) {
	rows, err := q.sum(f, "")
	for i := range rows {
		total.Merge(&rows[i].Totals)
	}
	return total, err
}
