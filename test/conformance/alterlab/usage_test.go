package alterlab

import (
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/stack"
)

//go:embed manifests/usage.yaml
var usageManifests string

// metered is a key with some usage, and one that may read it.
type metered struct {
	*stack.Stack
	namespace, key, id, dashboard string
}

// meter uses a key: three requests, of which one succeeds in the tier "js" and one fails in the tier "light", and one is
// refused.
func meter(t *testing.T, s *stack.Stack) *metered {
	t.Helper()
	m := &metered{Stack: s, namespace: s.Namespace(t, "alterlab-usage")}
	s.Apply(t, m.namespace, usageManifests)
	s.AwaitKey(t, m.namespace, "metered", "dashboard")
	m.key, m.dashboard = s.Key(t, m.namespace, "metered"), s.Key(t, m.namespace, "dashboard")
	s.AwaitVerifier(t, m.key)
	s.AwaitVerifier(t, m.dashboard)

	first := s.Verify(t, m.key, "labels", map[string]string{"tier": "js", "domain": "shop.example.com"})
	s.Tell(t, first, "outcome", "success", "spendMicrocents", 2000, "latencyMs", 40, "labels", map[string]string{"tier": "js", "domain": "shop.example.com"})
	second := s.Verify(t, m.key, "labels", map[string]string{"tier": "light", "domain": "news.example.org"})
	s.Tell(t, second, "outcome", "failure", "error", "blocked by the site", "labels", map[string]string{"tier": "light", "domain": "news.example.org"})
	s.Tell(t, second, "outcome", "failure", "error", "blocked by the site") // again, which counts for nothing
	if refused := s.Verify(t, m.key, "scopes", map[string]any{"allOf": []string{"admin"}}); refused.Code != "SCOPE_INSUFFICIENT" {
		t.Fatalf("refused: %+v", refused)
	}
	m.id = first.Key.ID
	stack.Eventually(t, func() string {
		var got summary
		if m.ask(t, "", &got); got.Requests < 2 || got.Denied < 2 || got.Succeeded < 1 || got.Failed < 1 {
			return fmt.Sprintf("there is %+v so far", got)
		}
		return ""
	})
	return m
}

// ask asks about the key, as itself.
func (m *metered) ask(t *testing.T, path string, into any) {
	t.Helper()
	m.Get(t, "/v1/api-keys/"+m.id+"/usage"+path, into, "X-API-Key", m.key)
}

type summary struct {
	TotalRequests, Requests, Denied, Succeeded, Failed, SpendMicrocents int64
}

// The verifier is asked whether it knows the key, which is a refusal.
var all = summary{TotalRequests: 4, Requests: 2, Denied: 2, Succeeded: 1, Failed: 1, SpendMicrocents: 2000}

func TestUsage(t *testing.T) {
	stack.OnEachStore(t, claviger, func(t *testing.T, s *stack.Stack) {
		m := meter(t, s)
		for name, test := range map[string]func(*testing.T, *metered){
			"A5": testA5Summary, "A6": testA6ByTier, "A7": testA7Errors, "A8": testA8RequestLog, "A9": testA9TimeSeries,
		} {
			t.Run(name, func(t *testing.T) { test(t, m) })
		}
	})
}

// A5: usage over N days (30 by default): total, successful and failed requests, and what was spent.
func testA5Summary(t *testing.T, m *metered) {
	awaits := m.refusals(t)
	for _, query := range []string{"", "?days=30", "?days=1"} {
		var got summary
		if m.ask(t, query, &got); got != all.with(awaits) {
			t.Errorf("%q: %+v, want %+v", query, got, all.with(awaits))
		}
	}
	// Whoever may read the organization's usage sees the same.
	var got summary
	if m.Get(t, "/v1/api-keys/"+m.id+"/usage", &got, "X-API-Key", m.dashboard, "X-Organization-Id", m.namespace+"/metered"); got != all.with(awaits) {
		t.Errorf("the dashboard sees %+v", got)
	}
}

// refusals are how often the key was presented to see whether the verifier knows it.
func (m *metered) refusals(t *testing.T) int64 {
	t.Helper()
	var errors struct {
		Errors []struct {
			Error string
			Count int64
		}
	}
	m.ask(t, "/errors", &errors)
	for _, e := range errors.Errors {
		if e.Error == "WORKSPACE_MISMATCH" {
			return e.Count
		}
	}
	return 0
}

// with is a summary with so many refusals of that kind.
func (s summary) with(refusals int64) summary {
	s.Denied = 1 + refusals
	s.TotalRequests = s.Requests + s.Denied
	return s
}

// A6: usage by tier.
func testA6ByTier(t *testing.T, m *metered) {
	var got struct {
		Tiers []struct {
			Name string
			summary
		}
	}
	m.ask(t, "/by-tier", &got)
	tiers := map[string]summary{}
	for _, tier := range got.Tiers {
		tiers[tier.Name] = tier.summary
	}
	if js, light := tiers["js"], tiers["light"]; js != (summary{1, 1, 0, 1, 0, 2000}) || light != (summary{1, 1, 0, 0, 1, 0}) || len(tiers) != 3 {
		t.Errorf("by tier: %+v", tiers)
	}
}

// A7: errors, counted and listed.
func testA7Errors(t *testing.T, m *metered) {
	var got struct {
		TotalErrors int64
		Errors      []struct {
			Status, Error string
			Count         int64
		}
		Requests []struct{ Error, RequestID string }
	}
	m.ask(t, "/errors", &got)
	counts, listed := map[string]int64{}, map[string]int64{}
	for _, e := range got.Errors {
		counts[e.Status+" "+e.Error] = e.Count
	}
	for _, r := range got.Requests {
		listed[r.Error]++
	}
	if counts["failed blocked by the site"] != 1 || counts["denied SCOPE_INSUFFICIENT"] != 1 || listed["blocked by the site"] != 1 || listed["SCOPE_INSUFFICIENT"] != 1 {
		t.Errorf("errors: %+v", got)
	}
	if int64(len(got.Requests)) != got.TotalErrors {
		t.Errorf("%d are listed of %d", len(got.Requests), got.TotalErrors)
	}
}

// A8: the request log: pages of 50 unless asked for otherwise, filtered by status, tier and a part of the domain, with total
// and number of pages.
func testA8RequestLog(t *testing.T, m *metered) {
	type log struct {
		Page, PageSize, Total, TotalPages int
		Logged                            bool
		Requests                          []struct {
			Status, Tier, Domain, Error string
			SpendMicrocents             int64
			LatencyMs                   float64
		}
	}
	for query, want := range map[string]int{
		"?status=success": 1, "?status=failed": 1, "?status=success,failed": 2, "?tier=js": 2, "?domain=example": 4, "?domain=NEWS": 2, "?domain=news&status=failed&tier=light": 1, "?tier=none": 0,
	} {
		var got log
		if m.ask(t, "/requests"+query, &got); got.Total != want || len(got.Requests) != want || got.Page != 1 || got.PageSize != 50 || !got.Logged {
			t.Errorf("%s: %+v, want %d", query, got, want)
		}
	}
	var success, page log
	m.ask(t, "/requests?status=success", &success)
	if r := success.Requests[0]; r.Tier != "js" || r.Domain != "shop.example.com" || r.SpendMicrocents != 2000 || r.LatencyMs != 40 {
		t.Errorf("the one that succeeded: %+v", r)
	}
	if m.ask(t, "/requests?domain=example&page=2&page_size=3", &page); page.Total != 4 || page.TotalPages != 2 || len(page.Requests) != 1 {
		t.Errorf("the second page: %+v", page)
	}
	for _, wrong := range []string{"?page=0", "?page_size=1000", "?status=maybe", "?domian=x"} {
		if got := m.Do(t, "GET", "/v1/api-keys/"+m.id+"/usage/requests"+wrong, "", "X-API-Key", m.key); got.Status != 400 {
			t.Errorf("%s: %d %s", wrong, got.Status, got.Body)
		}
	}
}

// A9: a time series, which says how it is cut.
func testA9TimeSeries(t *testing.T, m *metered) {
	now := time.Now().UTC()
	for query, granularity := range map[string]string{
		"": "day", "?days=1": "hour", "?days=90&granularity=week": "week",
		"?start=" + url.QueryEscape(now.Add(-time.Hour).Truncate(time.Hour).Format(time.RFC3339)) + "&end=" + url.QueryEscape(now.Add(2*time.Hour).Truncate(time.Hour).Format(time.RFC3339)) + "&granularity=minute": "minute",
	} {
		var got struct {
			Granularity string
			Points      []struct {
				Start time.Time
				summary
			}
		}
		m.ask(t, "/timeseries"+query, &got)
		var sum summary
		for _, p := range got.Points {
			sum.Requests += p.Requests
			sum.Succeeded += p.Succeeded
			sum.SpendMicrocents += p.SpendMicrocents
		}
		if got.Granularity != granularity || sum.Requests != 2 || sum.Succeeded != 1 || sum.SpendMicrocents != 2000 || len(got.Points) < 2 {
			t.Errorf("%q: %s, %+v in %d points", query, got.Granularity, sum, len(got.Points))
		}
	}
	csv := m.Do(t, "GET", "/v1/api-keys/self/usage/timeseries?days=1&format=csv", "", "X-API-Key", m.key)
	if csv.Status != 200 || strings.Count(csv.Body, "\n") != 25 {
		t.Errorf("CSV: %d\n%s", csv.Status, csv.Body)
	}
}
