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

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

var now = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

// counted is a feed with one key, which changed at seq 7.
type counted struct{ err error }

func (c counted) Changes(_ context.Context, after int64, now time.Time) (usagefeed.Page, error) {
	page := usagefeed.Page{Epoch: "e", Next: after, Keys: []usagefeed.Key{}}
	if after < 7 {
		remaining := int64(0)
		page.Next = 7
		page.Keys = append(page.Keys, usagefeed.Key{
			ID: "a", Workspace: "team/shop", LastUsedAt: now, Remaining: &remaining,
			Period: usagefeed.Period{Start: usagefeed.PeriodStart(now), Counts: usagefeed.Counts{Requests: 2, Denied: 1}},
			Total:  usagefeed.Counts{Requests: 5, Denied: 1},
		})
	}
	return page, c.err
}

func ask(t *testing.T, usage Usage, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	server := &Server{
		Protect: func(next http.Handler) http.Handler { return next },
		Usage:   usage, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return now }, Log: logr.Discard(),
	}
	response := httptest.NewRecorder()
	server.Handler().ServeHTTP(response, httptest.NewRequest(method, target, nil))
	return response
}

func TestTheFeedTellsWhatChanged(t *testing.T) {
	response := ask(t, counted{}, "GET", "/usage?after=3")
	const want = `{"epoch":"e","next":7,"keys":[{"keyID":"a","workspace":"team/shop",` +
		`"period":{"start":"2026-11-01T00:00:00Z","requests":2,"denied":1},"total":{"requests":5,"denied":1},` +
		`"remaining":0,"lastUsedAt":"2026-11-21T10:30:00Z"}]}`
	if got := strings.TrimSpace(response.Body.String()); response.Code != http.StatusOK || got != want {
		t.Errorf("answered %d %s\nwant 200 %s", response.Code, got, want)
	}
}

func TestTheFeedSaysWhenNothingIsNew(t *testing.T) {
	response := ask(t, counted{}, "GET", "/usage?after=7")
	if got, want := strings.TrimSpace(response.Body.String()), `{"epoch":"e","next":7,"keys":[]}`; got != want {
		t.Errorf("answered %s, want %s", got, want)
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
	response := ask(t, counted{err: errors.New("/var/lib/claviger/usage.db is damaged")}, "GET", "/usage")
	if response.Code != http.StatusServiceUnavailable || strings.Contains(response.Body.String(), "/var") {
		t.Errorf("answered %d %s", response.Code, response.Body)
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
