package analytics

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/internal/usage"
)

// What would fill the verifier's memory is refused, and not told as if it were all.
func TestQuestionsWithTooManyRows(t *testing.T) {
	f := used(t)
	f.store.most = 2
	for query, want := range map[string]int{
		"report?dimensions=status": 400, "report?dimensions=status&limit=1": 400, "report?dimensions=status&status=success,denied": 200, "report?dimensions=tier": 200,
		"report?dimensions=day,tier": 200, "report?dimensions=day,key": 400, "report": 200, "overview": 400, "costs": 200,
	} {
		target, headers := f.analytics(query)
		w := f.get(target, headers...)
		if w.Code != want || want == http.StatusBadRequest && !strings.Contains(w.Body.String(), "fewer dimensions, a shorter range, or with a filter") {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
}

func TestListsEndWithTheRest(t *testing.T) {
	f := newFixture(t)
	const many = maxListed + 3
	var events []usage.Event
	for i := range many {
		name := fmt.Sprint("n", i)
		events = append(events, event(t, "k", shop, now, usage.Allowed, spends(int64(i), usage.Details{Tier: name}), func(e *usage.Event) { e.Department, e.EntityID, e.KeepLine = name, name, 0 }))
		for range i/maxListed + 1 {
			events = append(events, event(t, "k", shop, now, usage.Denied, spends(0, usage.Details{Tier: name, Error: name}), func(e *usage.Event) { e.Department, e.EntityID, e.KeepLine = name, name, 0 }))
		}
	}
	f.add(t, events...)
	const spend = many * (many - 1) / 2
	tiers := read[struct{ Tiers []named }](t, f, KeysPath+"self/usage/by-tier", "X-API-Key", f.key).Tiers
	sum := int64(0)
	for _, tier := range tiers {
		sum += tier.SpendMicrocents
	}
	if len(tiers) != maxListed+1 || sum != spend || tiers[0].SpendMicrocents != many-1 {
		t.Errorf("%d tiers, %d microcents in all, want %d", len(tiers), sum, spend)
	}
	if last := tiers[len(tiers)-1]; last.Name != "(rest)" || last.SpendMicrocents != 0+1+2 || last.Requests != 3 || last.Denied != 3 {
		t.Errorf("the rest is %+v", last)
	}
	target, headers := f.analytics("costs")
	costs := read[struct{ Keys, Departments, Entities []cost }](t, f, target, headers...)
	if len(costs.Departments) != maxListed+1 || len(costs.Entities) != maxListed+1 || costs.Entities[maxListed] != (cost{"(rest)", 3}) || costs.Departments[maxListed] != (cost{"(rest)", 3}) ||
		len(costs.Keys) != 1 || costs.Keys[0] != (cost{id("k"), spend}) {
		t.Errorf("costs: %d departments, %d entities, keys %v", len(costs.Departments), len(costs.Entities), costs.Keys)
	}
	failures := read[struct {
		TotalErrors int64
		Errors      []failure
	}](t, f, KeysPath+"self/usage/errors", "X-API-Key", f.key)
	if len(failures.Errors) != maxListed || failures.TotalErrors != many+3 || failures.Errors[0].Count != 2 {
		t.Errorf("%d errors of %d are listed", len(failures.Errors), failures.TotalErrors)
	}
}

func TestNoCellIsAFormula(t *testing.T) {
	for _, begin := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if got := cell(begin + "1+1"); got != "'"+begin+"1+1" {
			t.Errorf("%q becomes %q", begin+"1+1", got)
		}
	}
	for _, text := range []string{"", "a=b", " ", "ü", "\xff", "1-1", "'"} {
		if got := cell(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
