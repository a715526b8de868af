package httpapi

import (
	"net/http/httptest"
	"testing"
)

func TestAnAddressIsCheckedAtTheDoor(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.AllowedCIDRs = append(s.AllowedCIDRs, "203.0.113.0/24") })
	for forwarded, want := range map[string]int{"203.0.113.9": 200, "198.51.100.7": 403, "203.0.113.9, 198.51.100.7": 403} {
		r := httptest.NewRequest("GET", "/v1/auth", nil)
		r.RemoteAddr = "10.0.0.1:1234"
		r.Header.Set("X-API-Key", f.key)
		r.Header.Set("X-Forwarded-For", forwarded)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from %q: status %d, want %d", forwarded, w.Code, want)
		}
	}
}
