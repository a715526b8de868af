package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

// decisionOf makes a decision whose every text is one of the given, and how encoding/json would be
// told of it.
func decisionOf(a, b string, n uint16, seconds int64) (verifier.Decision, verdict) {
	code := policy.Codes()[int(n)%len(policy.Codes())]
	end := time.Unix(seconds%253402300799, int64(n)).UTC()
	if end.Before(time.Unix(0, 0)) {
		end = time.Unix(0, 0).UTC()
	}
	d := verifier.Decision{
		Code: code, Status: code.Status(), Error: a,
		Key: verifier.Key{
			ID: verifier.KeyID{byte(n) | 1}, Name: a, Namespace: b, Workspace: a + b, Environment: b, DisplayName: a, ServiceAccount: b,
			Entity:   verifier.Entity{Kind: a, ID: b, Department: a},
			Metadata: map[string]string{a: b, b: a, "": "empty", a + b: "both"}, ExpiresAt: end,
		},
		Checks: []verifier.Check{{Name: a, Outcome: policy.Passed}, {Name: b, Outcome: policy.Failed, Code: code, Decided: true}},
	}
	v := verdict{
		Valid: code == verifier.CodeValid, Code: code, Status: code.Status(), Error: a, RequestID: "r",
		Key: &identity{
			ID: d.Key.ID.String(), Name: a, Namespace: b, Workspace: a + b, Environment: b, DisplayName: a, ServiceAccount: b,
			Metadata: d.Key.Metadata, ExpiresAt: &end, Scopes: []string{},
		},
		Checks: []checkResult{{Name: a, Outcome: "passed"}, {Name: b, Outcome: "failed", Code: code.String(), Decided: true}},
	}
	if a != "" || b != "" {
		v.Key.Entity = &entity{Kind: a, ID: b, Department: a}
	}
	for range n % 3 {
		d.Key.Scopes = append(d.Key.Scopes, a)
		v.Key.Scopes = append(v.Key.Scopes, a)
	}
	return d, v
}

func FuzzVerdict(f *testing.F) {
	for _, text := range []string{"", "plain", `"quoted" \ `, "<script>&amp;</script>", "\x00\x1f\x7f", "\xff\xc3\x28", "\u2028\u2029", "日本語😀"} {
		f.Add(text, "b", uint16(1), int64(1780000000))
		f.Add("a", text, uint16(10), int64(0))
	}
	f.Fuzz(func(t *testing.T, a, b string, n uint16, seconds int64) {
		d, v := decisionOf(a, b, n, seconds)
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		x := exchange{decision: d}
		if got := x.appendVerdict(nil, "r"); string(got) != string(want) {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	})
}

func TestNothingToSayIsLeftOut(t *testing.T) {
	x := exchange{decision: verifier.Decision{Code: verifier.CodeKeyRequired, Status: 401, Error: "API key is required"}}
	want := `{"valid":false,"code":"KEY_REQUIRED","status":401,"error":"API key is required","requestId":"r"}`
	if got := string(x.appendVerdict(nil, "r")); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestTimesStayWithinRFC3339(t *testing.T) {
	zone := time.FixedZone("", -3600)
	for _, test := range []struct {
		time time.Time
		want string
	}{
		{time.Date(2026, 3, 1, 12, 0, 0, 0, zone), `"2026-03-01T13:00:00Z"`},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, zone), `"9999-12-31T23:59:59Z"`},
	} {
		if got := string(appendTime(nil, test.time)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// A decision that slows down whoever sends invalid keys has no limits to tell of.
func TestPatienceIsAskedForWithoutLimitsToo(t *testing.T) {
	d := verifier.Decision{Code: verifier.CodeRateLimited, Status: 429, RetryAfter: 1500 * time.Millisecond}
	var h header
	h.limits(&d)
	got := map[string][]string{}
	h.write(got)
	if len(got) != 1 || len(got["Retry-After"]) != 1 || got["Retry-After"][0] != "2" {
		t.Errorf("got %v", got)
	}
}
