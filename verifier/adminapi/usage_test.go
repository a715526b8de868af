package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/applied"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

var now = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// periodStart is when the billing period of the workspace began.
var periodStart = time.Date(2026, time.November, 15, 23, 0, 0, 0, time.UTC)

// counted is a feed with one key, which changed at seq 7.
type counted struct{ err error }

func (c counted) Changes(_ context.Context, after int64, now time.Time, period usagestore.PeriodOf) (usagefeed.Page, error) {
	page := usagefeed.Page{Epoch: "e", Next: after, Shared: true, Keys: []usagefeed.Key{}}
	if after < 7 {
		remaining := int64(0)
		start, _ := period("team/shop")
		page.Next = 7
		page.Keys = append(page.Keys, usagefeed.Key{
			ID: "a", Workspace: "team/shop", LastUsedAt: now, Remaining: &remaining,
			Period: usagefeed.Period{Start: start, Counts: usagefeed.Counts{Requests: 2, Denied: 1}},
			Total:  usagefeed.Counts{Requests: 5, Denied: 1, Succeeded: 3, Failed: 1, SpendMicrocents: 40},
		})
	}
	return page, c.err
}

// Groups tells of one group, which changed at seq 5.
func (c counted) Groups(_ context.Context, after int64, _ time.Time, period usagestore.PeriodOf) (usagefeed.GroupPage, error) {
	page := usagefeed.GroupPage{Epoch: "e", Next: after, Groups: []usagefeed.Group{}}
	if after < 5 {
		start, _ := period("team/shop")
		page.Next = 5
		page.Groups = append(page.Groups, usagefeed.Group{
			Kind: usagefeed.KindWorkspace, Name: "team/shop", Period: usagefeed.Period{Start: start},
			Total: usagefeed.Counts{Requests: 5},
		})
	}
	return page, c.err
}

// Limits tells of one limit, which changed at seq 4.
func (c counted) Limits(_ context.Context, after int64, _ time.Time) (usagefeed.LimitPage, error) {
	page := usagefeed.LimitPage{Epoch: "e", Next: after, Limits: []usagefeed.Limit{}}
	if after < 4 {
		page.Next = 4
		page.Limits = append(page.Limits, usagefeed.Limit{ID: "l", Denied: 9, ThrottledKeys: 2, ExhaustedKeys: 1})
	}
	return page, c.err
}

func ask(t *testing.T, usage usagestore.Feed, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	server := &Server{
		Protect: func(next http.Handler) http.Handler { return next },
		Usage:   usage,
		Period: func(workspace string) (start, end time.Time) {
			if workspace != "team/shop" {
				t.Errorf("the period of %q is asked for", workspace)
			}
			return periodStart, now
		},
		Applied: func() applied.Report {
			return applied.Report{Verifier: "v1", Versions: map[string]string{"secrets": "12", "apikeys": "11"}}
		}, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return now }, Log: logr.Discard(),
	}
	response := httptest.NewRecorder()
	server.Handler().ServeHTTP(response, httptest.NewRequest(method, target, nil))
	return response
}

func TestTheFeedTellsWhatChanged(t *testing.T) {
	response := ask(t, counted{}, "GET", "/usage?after=3")
	const want = `{"epoch":"e","next":7,"shared":true,"keys":[{"keyID":"a","workspace":"team/shop",` +
		`"period":{"start":"2026-11-15T23:00:00Z","requests":2,"denied":1,"succeeded":0,"failed":0,"spendMicrocents":0},` +
		`"total":{"requests":5,"denied":1,"succeeded":3,"failed":1,"spendMicrocents":40},` +
		`"remaining":0,"lastUsedAt":"2026-11-21T10:30:00Z"}]}`
	if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != want {
		t.Errorf("answered %d %s\nwant 200 %s", response.Code, got, want)
	}
}

func TestItTellsHowFarTheVerifierHasCome(t *testing.T) {
	response := ask(t, counted{}, "GET", applied.Path)
	const want = `{"verifier":"v1","versions":{"apikeys":"11","secrets":"12"}}`
	if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != want {
		t.Errorf("answered %d %s\nwant 200 %s", response.Code, got, want)
	}
}

func TestItTellsUntilWhenItHasStoredUsageWhereItKnows(t *testing.T) {
	for until, want := range map[time.Time]string{
		{}:                                `{"verifier":"v1","versions":null,"continues":["v0"]}`,
		now.Add(-1500 * time.Millisecond): `{"verifier":"v1","versions":null,"countedUntil":"2026-11-21T10:29:58.5Z","continues":["v0"]}`,
	} {
		server := &Server{
			Protect: func(next http.Handler) http.Handler { return next }, Usage: counted{}, Metrics: prometheus.NewRegistry(),
			Applied: func() applied.Report {
				return applied.Report{Verifier: "v1", CountedUntil: until, Continues: []string{"v0"}}
			},
		}
		response := httptest.NewRecorder()
		server.Handler().ServeHTTP(response, httptest.NewRequest("GET", applied.Path, nil))
		if got := strings.TrimSpace(response.Body.String()); got != want {
			t.Errorf("answered %s\nwant %s", got, want)
		}
	}
}

func TestTheFeedSaysWhenNothingIsNew(t *testing.T) {
	response := ask(t, counted{}, "GET", "/usage?after=7")
	if got, want := strings.TrimSpace(response.Body.String()), `{"epoch":"e","next":7,"shared":true,"keys":[]}`; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
}

func TestTheFeedTellsWhatIsLeftOfABudgetAndWhatIsUsedUp(t *testing.T) {
	body, err := json.Marshal(usagefeed.Key{
		ID: "a", Workspace: "team/shop", LastUsedAt: now, Period: usagefeed.Period{Start: now},
		BudgetRemaining: new(int64), BudgetResetAt: &now,
		Exhausted: &usagefeed.Exhausted{Limit: "l", Code: "BUDGET_EXHAUSTED", ResetAt: now},
	})
	const want = `"budgetRemaining":0,"budgetResetAt":"2026-11-21T10:30:00Z",` +
		`"exhausted":{"limit":"l","code":"BUDGET_EXHAUSTED","resetAt":"2026-11-21T10:30:00Z"}`
	if err != nil || !strings.Contains(string(body), want) {
		t.Errorf("a key reads %s (%v), want %s in it", body, err, want)
	}
}

func TestTheFeedsOfLimitsAndGroupsTellWhatChanged(t *testing.T) {
	const none = `{"requests":0,"denied":0,"succeeded":0,"failed":0,"spendMicrocents":0}`
	for target, want := range map[string]string{
		"/usage/groups": `{"epoch":"e","next":5,"groups":[{"kind":"Workspace","name":"team/shop",` +
			`"period":{"start":"2026-11-15T23:00:00Z",` + none[1:] + `,"total":` + strings.Replace(none, `"requests":0`, `"requests":5`, 1) + `}]}`,
		"/usage/groups?after=5": `{"epoch":"e","next":5,"groups":[]}`,
		"/limits":               `{"epoch":"e","next":4,"limits":[{"limit":"l","denied":9,"shadowDenied":0,"throttledKeys":2,"exhaustedKeys":1}]}`,
		"/limits?after=4":       `{"epoch":"e","next":4,"limits":[]}`,
	} {
		response := ask(t, counted{}, "GET", target)
		if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != want {
			t.Errorf("%s was answered with %d %s\nwant 200 %s", target, response.Code, got, want)
		}
	}
}

func TestBadQuestionsAreAnsweredWithASentence(t *testing.T) {
	tests := map[string]struct {
		method, target string
		status         int
		says           string
	}{
		"a word":                   {"GET", "/usage?after=now", 400, "whole number"},
		"nothing":                  {"GET", "/usage?after=", 400, "whole number"},
		"a negative number":        {"GET", "/usage?after=-1", 400, "whole number"},
		"a fraction":               {"GET", "/usage?after=1.5", 400, "whole number"},
		"more than 64 bits":        {"GET", "/usage?after=9223372036854775808", 400, "whole number"},
		"SQL":                      {"GET", "/usage?after=0%20OR%201=1", 400, "whole number"},
		"two of them":              {"GET", "/usage?after=1&after=2", 400, "once"},
		"a broken escape":          {"GET", "/usage?after=%zz", 400, "?after=<number>"},
		"a word for limits":        {"GET", "/limits?after=now", 400, "whole number"},
		"a word for groups":        {"GET", "/usage/groups?after=now", 400, "whole number"},
		"a method that changes":    {"POST", "/usage?after=1", 405, ""},
		"a path that is not there": {"GET", "/usages", 404, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := ask(t, counted{}, test.method, test.target)
			if response.Code != test.status {
				t.Fatalf("answered %d %s, want %d", response.Code, response.Body, test.status)
			}
			if test.status != http.StatusBadRequest {
				return
			}
			var body struct{ Error string }
			if err := json.Unmarshal(response.Body.Bytes(), &body); err != nil || !strings.Contains(body.Error, test.says) {
				t.Errorf("answered %s (%v), want a sentence with %q", response.Body, err, test.says)
			}
		})
	}
}

func TestWithoutAQuestionTheFeedBeginsAtItsBeginning(t *testing.T) {
	if response := ask(t, counted{}, "GET", "/usage"); !strings.Contains(response.Body.String(), `"keyID":"a"`) {
		t.Errorf("answered %s", response.Body)
	}
}

func TestAStoreThatFailsIsNotTalkedAboutOutside(t *testing.T) {
	for _, path := range []string{"/usage", "/usage/groups", "/limits"} {
		response := ask(t, counted{err: errors.New("/var/lib/claviger/usage.db is damaged")}, "GET", path)
		if response.Code != http.StatusServiceUnavailable || strings.Contains(response.Body.String(), "/var") {
			t.Errorf("%s was answered with %d %s", path, response.Code, response.Body)
		}
	}
}

func FuzzParseAfter(f *testing.F) {
	for _, seed := range []string{"", "after=1", "after=-1", "after=1&after=2", "after=%zz", "after=1;after=2", "b=c&after=00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		after, err := parseAfter(query)
		if after < 0 || err != nil && (after != 0 || strings.TrimSpace(err.Error()) == "") {
			t.Errorf("%q was read as %d, %v", query, after, err)
		}
	})
}
