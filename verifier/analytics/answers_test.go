package analytics

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usage"
)

// used is a fixture with five requests of k in shop, and one of another key.
func used(t testing.TB, edits ...func(*v1alpha1.WorkspaceSpec)) *fixture {
	f := newFixture(t, edits...)
	gold := usage.Details{Tier: "gold", Domain: "Shop.example"}
	yesterday := now.Add(-day)
	f.add(t,
		event(t, "k", shop, yesterday, usage.Allowed, spends(0, gold)),
		event(t, "k", shop, now, usage.Allowed, spends(0, usage.Details{Domain: "=cmd|' /C calc'"})),
		event(t, "k", shop, now.Add(-time.Minute), usage.Denied, spends(0, usage.Details{Error: "RATE_LIMITED"})),
		event(t, "k", shop, yesterday.Add(time.Second), usage.Succeeded, spends(100, gold), func(e *usage.Event) { e.Latency, e.Bytes, e.HTTPStatus = 30*time.Millisecond, 7, 200 }),
		event(t, "k", shop, now.Add(time.Second), usage.Failed, spends(20, usage.Details{Error: "it broke"}), func(e *usage.Event) {
			e.Latency, e.EntityKind, e.EntityID, e.Department, e.ServiceAccount = 10*time.Millisecond, "Agent", "x", "sales", "robot"
		}),
		event(t, "reader", shop, now, usage.Allowed, spends(5, usage.Details{})),
		event(t, "o", other, now, usage.Allowed, spends(1000, usage.Details{})))
	return f
}

var wanted = totals{TotalRequests: 3, Requests: 2, Denied: 1, Succeeded: 1, Failed: 1, SpendMicrocents: 120, AverageLatencyMs: 20, Bytes: 7}

func TestAKeyAsksWhatItUsed(t *testing.T) {
	f := used(t)
	for name, target := range map[string]string{
		"by default": "self/usage", "by its ID": id("k") + "/usage", "in days": "self/usage?days=2", "by dates": "self/usage?from=2026-03-14&to=2026-03-15",
		"by times": "self/usage?start=2026-03-14T00:00:00Z&end=2026-03-15T13:00:00Z", "in a zone": "self/usage?from=2026-03-14&to=2026-03-15&timeZone=America%2FNew_York",
	} {
		got := read[struct {
			KeyID string
			totals
		}](t, f, KeysPath+target, "X-API-Key", f.key)
		if got.totals != wanted || got.KeyID != id("k") {
			t.Errorf("%s: %+v, want %+v", name, got, wanted)
		}
	}
	if got := read[totals](t, f, KeysPath+"self/usage?from=2026-03-15&to=2026-03-15", "X-API-Key", f.key); got.TotalRequests != 2 || got.SpendMicrocents != 20 {
		t.Errorf("today: %+v", got)
	}
}

func TestByTierErrorsAndLog(t *testing.T) {
	f := used(t)
	tiers := read[struct{ Tiers []named }](t, f, KeysPath+"self/usage/by-tier", "X-API-Key", f.key).Tiers
	if len(tiers) != 2 || tiers[0].Name != "gold" || tiers[0].SpendMicrocents != 100 || tiers[1].Name != "" || tiers[1].TotalRequests != 2 {
		t.Errorf("by tier: %+v", tiers)
	}
	failures := read[struct {
		TotalErrors int64
		Errors      []failure
		page
	}](t, f, KeysPath+"self/usage/errors", "X-API-Key", f.key)
	if failures.TotalErrors != 2 || !reflect.DeepEqual(failures.Errors, []failure{{"denied", "RATE_LIMITED", 1}, {"failed", "it broke", 1}}) ||
		failures.Total != 2 || failures.Requests[0].Error != "it broke" || !failures.Logged {
		t.Errorf("errors: %+v", failures)
	}
	for query, want := range map[string]int{
		"": 5, "?status=success": 1, "?status=failed": 1, "?status=success,failed": 2, "?status=denied": 1, "?tier=gold": 2, "?domain=SHOP": 2, "?domain=.exam&tier=gold&status=success": 1,
		"?error=RATE_LIMITED": 1, "?domain=none": 0, "?from=2026-03-14&to=2026-03-14": 2, "?start=2026-03-15T12:00:00Z&end=2026-03-15T12:00:01Z": 1,
	} {
		if got := read[page](t, f, KeysPath+"self/usage/requests"+query, "X-API-Key", f.key); got.Total != int64(want) || len(got.Requests) != want || got.PageSize != 50 || got.Page != 1 {
			t.Errorf("%q: %+v, want %d", query, got, want)
		}
	}
	second := read[page](t, f, KeysPath+"self/usage/requests?page=2&page_size=2", "X-API-Key", f.key)
	if second.Total != 5 || second.TotalPages != 3 || len(second.Requests) != 2 || second.Requests[0].Error != "RATE_LIMITED" {
		t.Errorf("the second page: %+v", second)
	}
}

func TestTimeSeriesHaveAPointForEachTime(t *testing.T) {
	f := used(t)
	for query, want := range map[string]struct {
		granularity string
		points      int
	}{
		"?days=1": {"hour", 24}, "?days=30": {"day", 31}, "?days=300": {"week", 43}, "?days=30&granularity=month": {"month", 2},
		"?start=2026-03-15T11:00:00Z&end=2026-03-15T13:00:00Z&granularity=minute": {"minute", 120},
		// The clocks in New York went forward on the 8th.
		"?from=2026-03-08&to=2026-03-08&timeZone=America%2FNew_York": {"hour", 23},
	} {
		got := read[struct {
			Granularity string
			Points      []point
		}](t, f, KeysPath+"self/usage/timeseries"+query, "X-API-Key", f.key)
		if got.Granularity != want.granularity || len(got.Points) != want.points {
			t.Errorf("%s: %s, %d points, want %+v", query, got.Granularity, len(got.Points), want)
		}
		var sum int64
		for i, p := range got.Points {
			sum += p.TotalRequests
			if i > 0 && !p.Start.After(got.Points[i-1].Start) {
				t.Errorf("%s: point %d is not after the one before", query, i)
			}
		}
		if strings.Contains(query, "days=30") && sum != 3 {
			t.Errorf("%s: %d requests in all", query, sum)
		}
	}
}

func (f *fixture) analytics(path string) (target string, headers []string) {
	return WorkspacePath + path, []string{"X-API-Key", f.reader, "X-Workspace-Id", shop}
}

func TestAWorkspaceAtAGlance(t *testing.T) {
	f := used(t)
	target, headers := f.analytics("overview")
	got := read[struct {
		Workspace string
		totals
		Before     totals
		ActiveKeys int
		Keys       []named
		Errors     []named
	}](t, f, target, headers...)
	if got.TotalRequests != 4 || got.SpendMicrocents != 125 || got.ActiveKeys != 2 || got.Keys[0].Name != id("k") || len(got.Errors) != 2 || got.Before != (totals{}) {
		t.Errorf("overview: %+v", got)
	}
	target, headers = f.analytics("costs")
	costs := read[struct {
		SpendMicrocents int64
		Days            []dayCost
		Keys            []cost
		Departments     []cost
		Entities        []cost
	}](t, f, target, headers...)
	if costs.SpendMicrocents != 125 || len(costs.Days) != 31 || costs.Days[13].SpendMicrocents != 100 || costs.Days[14].SpendMicrocents != 25 ||
		!slices.Contains(costs.Departments, cost{"sales", 20}) || !slices.Contains(costs.Entities, cost{"x", 20}) || len(costs.Keys) != 2 {
		t.Errorf("costs: %+v", costs)
	}
	for query, want := range map[string]int64{
		"": 125, "?agent=x": 20, "?member=x": 0, "?department=sales": 20, "?serviceAccount=robot": 20, "?key=" + id("reader"): 5, "?key=" + id("o"): 0,
		"?from=2026-03-14&to=2026-03-14": 100,
	} {
		target, headers := f.analytics("usage" + query)
		if got := read[totals](t, f, target, headers...); got.SpendMicrocents != want {
			t.Errorf("usage%s: %d, want %d", query, got.SpendMicrocents, want)
		}
	}
}

func TestHistoryIsOfBillingPeriods(t *testing.T) {
	f := used(t, func(s *v1alpha1.WorkspaceSpec) {
		s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetMonthly, AnchorDay: ptr.To[int32](15), TimeZone: "Europe/Berlin"}
	})
	target, headers := f.analytics("usage/history?months=3")
	got := read[struct {
		Periods []struct {
			told
			totals
		}
	}](t, f, target, headers...).Periods
	if len(got) != 3 || got[0].From.Format(time.RFC3339) != "2026-03-15T00:00:00+01:00" || got[0].SpendMicrocents != 25 || got[1].SpendMicrocents != 100 ||
		!got[1].To.Equal(got[0].From) || got[2].TotalRequests != 0 {
		t.Errorf("history: %+v", got)
	}
	// And so is what is asked for by default.
	target, headers = f.analytics("usage")
	if got := read[totals](t, f, target, headers...); got.SpendMicrocents != 25 {
		t.Errorf("the current period: %+v", got)
	}
}

func TestAReportHasTheMetricsAndDimensionsThatAreAskedFor(t *testing.T) {
	f := used(t)
	for query, want := range map[string]string{
		"?metrics=requests,spendMicrocents":                                                 `[{"requests":3,"spendMicrocents":125}]`,
		"?metrics=requests&dimensions=day":                                                  `[{"day":"2026-03-14T00:00:00Z","requests":1},{"day":"2026-03-15T00:00:00Z","requests":2}]`,
		"?metrics=spendMicrocents&dimensions=tier&orderBy=spendMicrocents&order=descending": `[{"spendMicrocents":100,"tier":"gold"},{"spendMicrocents":25,"tier":""}]`,
		"?metrics=denied&dimensions=error&error=RATE_LIMITED":                               `[{"denied":1,"error":"RATE_LIMITED"}]`,
		"?metrics=requests&domainContains=shop":                                             `[{"requests":1}]`,
		"?metrics=requests&dimensions=month,key&key=" + id("o"):                             `[]`,
		"?metrics=averageLatencyMs&status=success,failed":                                   `[{"averageLatencyMs":20}]`,
		"?metrics=requests&dimensions=day&limit=1&order=descending":                         `[{"day":"2026-03-15T00:00:00Z","requests":2}]`,
	} {
		target, headers := f.analytics("report" + query)
		got := read[struct {
			TotalRows int
			Rows      json.RawMessage
		}](t, f, target, headers...)
		if string(got.Rows) != want {
			t.Errorf("%s: %s, want %s", query, got.Rows, want)
		}
	}
}

func TestTablesAreReadBack(t *testing.T) {
	f := used(t)
	target, headers := f.analytics("export?format=csv&key=" + id("k"))
	w := f.get(target, headers...)
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 6 || rows[0][0] != "at" || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatalf("CSV: %d rows, %v", len(rows), err)
	}
	domain := slices.Index(rows[0], "domain")
	if got := []string{rows[1][domain], rows[2][domain]}; !slices.Contains(got, "'=cmd|' /C calc'") && !slices.Contains(got, "Shop.example") {
		t.Errorf("domains are %q", got)
	}
	for _, row := range rows[1:] {
		if strings.HasPrefix(row[domain], "=") {
			t.Errorf("%q is a formula", row[domain])
		}
	}

	target, headers = f.analytics("export")
	w = f.get(target, headers...)
	if lines := strings.Count(w.Body.String(), "\n"); lines != 6 || !json.Valid(bytes.SplitN(w.Body.Bytes(), []byte("\n"), 2)[0]) {
		t.Errorf("JSON lines: %d", lines)
	}

	type exported struct {
		At              string  `parquet:"at"`
		Status          string  `parquet:"status"`
		SpendMicrocents int64   `parquet:"spendMicrocents"`
		LatencyMs       float64 `parquet:"latencyMs"`
	}
	target, headers = f.analytics("export?format=parquet")
	w = f.get(target, headers...)
	found, err := parquet.Read[exported](bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil || len(found) != 6 {
		t.Fatalf("parquet: %d rows, %v", len(found), err)
	}
	var spend int64
	for _, row := range found {
		spend += row.SpendMicrocents
	}
	if spend != 125 || found[0].Status != "allowed" || found[0].At != "2026-03-14T12:00:00Z" {
		t.Errorf("parquet: %+v", found)
	}

	target, headers = f.analytics("report?format=parquet&metrics=requests&dimensions=day")
	w = f.get(target, headers...)
	reported, err := parquet.Read[struct {
		Day      string `parquet:"day"`
		Requests int64  `parquet:"requests"`
	}](bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil || len(reported) != 2 || reported[0].Day != "2026-03-14T00:00:00Z" || reported[0].Requests != 1 {
		t.Errorf("parquet of a report: %+v, %v", reported, err)
	}
	if w := f.get(KeysPath+"self/usage/timeseries?days=1&format=csv", "X-API-Key", f.key); strings.Count(w.Body.String(), "\n") != 25 {
		t.Errorf("a time series in CSV: %s", w.Body)
	}
}

func TestMinutesNeedTheLog(t *testing.T) {
	f := used(t, func(s *v1alpha1.WorkspaceSpec) { s.Usage = nil })
	target, headers := f.analytics("usage?from=2026-03-15&to=2026-03-15&granularity=minute")
	if w := f.get(target, headers...); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "request log") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := read[page](t, f, KeysPath+"self/usage/requests", "X-API-Key", f.key); got.Logged {
		t.Error("a log is told of that is not kept")
	}
}
