package analytics

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Every mistake is answered with a sentence that says what to change.
func TestQuestionsThatMakeNoSense(t *testing.T) {
	f := newFixture(t)
	key, workspace := KeysPath+"self/usage", WorkspacePath+"usage"
	for target, want := range map[string]string{
		key + "?form=2026-01-01":                                       `there is no parameter "form" here`,
		key + "?days=1&days=2":                                         "days is there more than once",
		key + "?days=":                                                 "days is empty",
		key + "?days=0":                                                "days must be a whole number from 1 to 400",
		key + "?days=401":                                              "from 1 to 400",
		key + "?days=1.5":                                              "whole number",
		key + "?from=2026-03-01":                                       "from and to go together",
		key + "?to=2026-03-01":                                         "from and to go together",
		key + "?start=2026-03-01T00:00:00Z":                            "start and end go together",
		key + "?from=2026-03-02&to=2026-03-01":                         "from is after to",
		key + "?from=2026-02-30&to=2026-03-01":                         "from must be a date such as",
		key + "?from=1&to=2026-03-01":                                  "from must be a date such as",
		key + "?days=1&from=2026-03-01&to=2026-03-01":                  "use one",
		key + "?from=2026-03-01&to=2026-03-01&start=a&end=b":           "use one",
		key + "?start=2026-03-01&end=2026-03-02":                       "must be a time such as",
		key + "?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z":   "start is after end",
		key + "?start=2026-03-01T00:00:00Z&end=2026-03-01T00:00:00Z":   "the range is empty",
		key + "?start=2026-03-01T00:30:00Z&end=2026-03-02T00:00:00Z":   "counted by the hour of UTC",
		key + "?start=2026-03-01T00:00:00Z&end=2026-03-01T01:00:00.5Z": "counted by the hour of UTC",
		key + "?from=2026-03-01&to=2026-03-01&timeZone=Asia%2FKolkata": "whole hours off",
		key + "?timeZone=Mars":                                         "timeZone must be the name",
		key + "?timeZone=Local":                                        "timeZone must be the name",
		key + "?from=2024-03-01&to=2026-03-01":                         "longer than 400 days",
		key + "?%zz":                                                   "cannot be read",
		key + "/requests?page=0":                                       "page must be",
		key + "/requests?page_size=501":                                "page_size must be a whole number from 1 to 500",
		key + "/requests?status=ok":                                    "status must be of allowed",
		key + "/timeseries?granularity=second":                         "granularity must be one of minute",
		key + "/timeseries?granularity=minute&days=30":                 "more than 1500 points",
		key + "/timeseries?granularity=hour&days=100":                  "more than 1500 points",
		key + "/timeseries?format=xml":                                 "format must be one of json",
		workspace + "?agent=a&member=b":                                "cannot be asked for at once",
		workspace + "?department=a&key=b":                              "cannot be asked for at once",
		workspace + "/history?months=61":                               "months must be",
		workspace + "/history?from=2026-03-01&to=2026-03-01":           "there is no parameter",
		WorkspacePath + "report?metrics=money":                         "metrics must be some of",
		WorkspacePath + "report?metrics=requests,requests":             "each once",
		WorkspacePath + "report?dimensions=colour":                     "dimensions must be some of",
		WorkspacePath + "report?dimensions=workspace":                  "dimensions must be some of",
		WorkspacePath + "report?dimensions=day,hour":                   "dimensions must be some of",
		WorkspacePath + "report?orderBy=tier":                          "orderBy must be one of",
		WorkspacePath + "report?limit=10001":                           "limit must be",
		WorkspacePath + "export?format=json":                           "format must be one of jsonl",
	} {
		w := f.get(target, "X-API-Key", f.reader, "X-Workspace-Id", shop)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"REQUEST_INVALID"`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		} else if !strings.Contains(w.Body.String(), strings.ReplaceAll(want, `"`, `\"`)) {
			t.Errorf("%s: %s, want %q", target, w.Body, want)
		}
	}
	if w := f.get(key+"?days="+strings.Repeat("1", maxQuery), "X-API-Key", f.reader); w.Code != http.StatusBadRequest {
		t.Errorf("a query that is too long: %d", w.Code)
	}
}

func TestAWorkspaceWithAHalfHourZoneIsAskedInIt(t *testing.T) {
	f := newFixture(t, func(s *v1alpha1.WorkspaceSpec) {
		s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetMonthly, TimeZone: "Asia/Kolkata"}
	})
	for _, query := range []string{"?from=2026-03-01&to=2026-03-01", "?from=2026-03-01&to=2026-03-01&timeZone=UTC", "?from=2026-03-01&to=2026-03-01&timeZone=Asia%2FKathmandu"} {
		if w := f.get(KeysPath+"self/usage"+query, "X-API-Key", f.key); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestOnlyGetIsAnsweredAndOnlyWhatThereIs(t *testing.T) {
	f := newFixture(t)
	for _, target := range everyRoute() {
		r := httptest.NewRequest(http.MethodPost, target, nil)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", target, w.Code)
		}
	}
	for _, target := range []string{KeysPath, KeysPath + "self", KeysPath + "a/b/usage", KeysPath + "/usage", WorkspacePath, WorkspacePath + "overview/", KeysPath + "self/usage/by-tier/x"} {
		if w := f.get(target, "X-API-Key", f.reader); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// Whatever is asked, the answer is one of those promised, and nothing panics.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"days=1", "from=2026-03-01&to=2026-03-02&timeZone=Europe%2FBerlin", "start=2026-03-01T00:00:00Z&end=2026-03-02T00:00:00Z", "metrics=requests&dimensions=day,tier&limit=5", "page=2&status=failed", "granularity=week", "%"} {
		f.Add(seed)
	}
	fixture := newFixture(f)
	f.Fuzz(func(t *testing.T, query string) {
		if _, err := url.ParseRequestURI("/?" + query); err != nil || strings.ContainsAny(query, "# \x7f") {
			return
		}
		for _, r := range routes {
			target := strings.ReplaceAll(r.path, "{id}", self) + "?" + query
			request, err := http.NewRequest(http.MethodGet, target, nil)
			if err != nil {
				return
			}
			request.Header.Set("X-API-Key", fixture.reader)
			request.Header.Set("X-Workspace-Id", shop)
			w := httptest.NewRecorder()
			fixture.ServeHTTP(w, request)
			if w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
}
