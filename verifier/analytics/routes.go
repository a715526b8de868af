package analytics

import (
	"slices"
	"strings"
)

// route is a path, and what may be asked there.
type route struct {
	name string
	// path begins with KeysPath, and has {id}, or with WorkspacePath.
	path   string
	answer func(*question, *answer) error
	// parameters are those beside the ones of its range.
	parameters []string
	dates      dating
	export     bool // it may take its time
}

// dating is how a route's range of time may be given.
type dating uint8

const (
	noDates dating = iota
	// sumDates must come out at whole hours, logDates need not.
	sumDates
	logDates
)

// The parameters of a range.
var dateParameters = []string{"days", "from", "to", "start", "end", "timeZone"}

// routes are all there are.
var routes = []*route{
	{name: "key_usage", path: KeysPath + "{id}/usage", answer: (*question).summary, dates: sumDates},
	{name: "key_by_tier", path: KeysPath + "{id}/usage/by-tier", answer: (*question).byTier, dates: sumDates},
	{name: "key_errors", path: KeysPath + "{id}/usage/errors", answer: (*question).errors, dates: sumDates, parameters: []string{"page", "page_size"}},
	{name: "key_requests", path: KeysPath + "{id}/usage/requests", answer: (*question).requests, dates: logDates,
		parameters: []string{"page", "page_size", "status", "tier", "domain", "resource", "error"}},
	{name: "key_timeseries", path: KeysPath + "{id}/usage/timeseries", answer: (*question).timeseries, dates: sumDates,
		parameters: []string{"granularity", "format", "status", "tier", "resource"}},
	{name: "overview", path: WorkspacePath + "overview", answer: (*question).overview, dates: sumDates, parameters: []string{"workspace"}},
	{name: "costs", path: WorkspacePath + "costs", answer: (*question).costs, dates: sumDates, parameters: []string{"workspace"}},
	{name: "usage", path: WorkspacePath + "usage", answer: (*question).usage, dates: sumDates,
		parameters: append([]string{"workspace", "granularity"}, subjects...)},
	{name: "history", path: WorkspacePath + "usage/history", answer: (*question).history, parameters: []string{"workspace", "months"}},
	{name: "report", path: WorkspacePath + "report", answer: (*question).report, dates: sumDates,
		parameters: append([]string{"workspace", "metrics", "dimensions", "orderBy", "order", "limit", "format", "domainContains"}, filters...)},
	{name: "export", path: WorkspacePath + "export", answer: (*question).exportLog, dates: logDates, export: true,
		parameters: append([]string{"workspace", "format", "domainContains"}, filters...)},
}

// Paths are the paths, as OpenAPI writes them, and the parameters that each takes.
func Paths() map[string][]string {
	paths := map[string][]string{}
	for _, r := range routes {
		paths[r.path] = r.accepted()
	}
	return paths
}

func (r *route) accepted() []string {
	if r.dates == noDates {
		return r.parameters
	}
	return slices.Concat(r.parameters, dateParameters)
}

// ofKey says whether it is about one key.
func (r *route) ofKey() bool { return strings.HasPrefix(r.path, KeysPath) }

const nowhere = "There is nothing here. Ask GET /v1/api-keys/{id}/usage, also with /by-tier, /errors, /requests or /timeseries, " +
	"or GET /v1/analytics/overview, /costs, /usage, /usage/history, /report or /export."

// find finds a path's route, and the ID in the path.
func find(path string) (found *route, id string, err error) {
	for _, r := range routes {
		before, after, ok := strings.Cut(r.path, "{id}")
		if !ok {
			if path == r.path {
				return r, "", nil
			}
			continue
		}
		rest, ok := strings.CutPrefix(path, before)
		if !ok {
			continue
		}
		if id, ok = strings.CutSuffix(rest, after); ok && id != "" && !strings.Contains(id, "/") {
			return r, id, nil
		}
	}
	return nil, "", notFound(nowhere)
}
