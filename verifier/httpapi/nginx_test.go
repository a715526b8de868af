package httpapi

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
)

// nginx takes 2xx, 401 and 403 from auth_request, and makes a 500 of anything else.
func TestNginxIsToldInHeadersWhatItTakesFromNoStatus(t *testing.T) {
	key := []string{"X-API-Key: %k"}
	tests := map[string]struct {
		spec    func(*spec)
		ready   error
		target  string
		headers []string
		sent    int // the status for nginx
		status  int // and the one for the client
		code    string
		retry   string
	}{
		"no key":                   {sent: 401, status: 401, code: "KEY_REQUIRED"},
		"an unknown key":           {headers: []string{"X-API-Key: noise"}, sent: 401, status: 401, code: "KEY_INVALID"},
		"a key that is disabled":   {spec: func(s *spec) { s.State = v1alpha1.KeyDisabled }, headers: key, sent: 403, status: 403, code: "KEY_DISABLED"},
		"a missing scope":          {target: "?scope=admin", headers: key, sent: 403, status: 403, code: "SCOPE_INSUFFICIENT"},
		"too often":                {spec: limited("none"), headers: key, target: "?cost=2", sent: 403, status: 429, code: "RATE_LIMITED", retry: "60"},
		"two keys":                 {headers: []string{"X-API-Key: %k,other"}, sent: 403, status: 400, code: "REQUEST_INVALID"},
		"a route set up wrongly":   {target: "?scopes=a", headers: key, sent: 403, status: 400, code: "REQUEST_INVALID"},
		"a verifier not ready yet": {ready: errors.New("waiting"), headers: key, sent: 403, status: 503, code: "NOT_READY", retry: "1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(s *spec) {
				if test.spec != nil {
					test.spec(s)
				}
			})
			indextest.SetLimit(f.index, "none", 1, time.Minute, 0)
			f.ready = test.ready
			w := f.do("GET", "/v1/auth/nginx"+test.target, "", withKey(test.headers, f.key)...)
			body := w.Body.String()
			if p := problemOf(t, w); p.Code != test.code || p.Error != w.Header().Get(headerError) {
				t.Errorf("the body says %+v, the header %q", p, w.Header().Get(headerError))
			}
			if w.Code != test.sent || w.Header().Get(headerStatus) != strconv.Itoa(test.status) || w.Header().Get(headerCode) != test.code || w.Header().Get(headerBody) != body {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
			if got := w.Header().Get("Retry-After"); got != test.retry {
				t.Errorf("Retry-After is %q, want %q", got, test.retry)
			}
			for _, name := range fields.IdentityNames {
				if values := w.Header()[name]; len(values) != 1 || values[0] != "" {
					t.Errorf("%s is %q, want one empty value", name, values)
				}
			}
		})
	}
}

func TestNginxIsToldNothingOfWhatPasses(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/v1/auth/nginx?scope=read", "", "X-API-Key: "+f.key)
	if w.Code != 200 || w.Header().Get("X-Claviger-Key-Name") != "k" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	for _, name := range []string{headerStatus, headerCode, headerError, headerBody} {
		if _, there := w.Header()[name]; there {
			t.Errorf("%s is there", name)
		}
	}
}

func TestNginxIsToldOfAPanic(t *testing.T) {
	f := newFixture(t)
	f.Handler.(*handler).verifier = nil
	if w := f.do("GET", "/v1/auth/nginx", "", "X-API-Key: "+f.key); w.Code != 403 || w.Header().Get(headerStatus) != "500" || len(w.Header()["X-Claviger-Key-Id"]) != 1 {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}
