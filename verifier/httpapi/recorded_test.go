package httpapi

import (
	"fmt"
	"testing"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

// diary is a Recorder that remembers.
type diary struct{ events []usage.Event }

func (l *diary) Record(e usage.Event) { l.events = append(l.events, e) }
func (l *diary) Report(e usage.Event) { l.events = append(l.events, e) }

// recorded is a fixture, and what its doors have recorded.
func recorded(t *testing.T) (*fixture, *diary) {
	t.Helper()
	f, told := &fixture{index: indextest.New()}, &diary{}
	f.key = indextest.Issue(t, f.index, "k")
	v, err := verifier.New(verifier.Options{Index: f.index, Recorder: told})
	if err != nil {
		t.Fatal(err)
	}
	if f.Handler, err = NewHandler(v, Options{}); err != nil {
		t.Fatal(err)
	}
	return f, told
}

// A text that a store of usage refuses changes no decision, and is mended where it is recorded.
func TestTextsThatNoStoreTakesAreMended(t *testing.T) {
	for name, test := range map[string]struct{ method, target, body, want string }{
		"NUL in a query":          {"GET", "/v1/auth?resource=a%00b", "", "a\ufffdb"},
		"no UTF-8 in a query":     {"GET", "/v1/auth?resource=%ff", "", "\ufffd"},
		"NUL in JSON":             {"POST", "/v1/verify", `{"key":"%k","resource":"a\u0000b"}`, "a\ufffdb"},
		"half a pair in JSON":     {"POST", "/v1/verify", `{"key":"%k","resource":"\ud800"}`, "\ufffd"},
		"an escape in a batch":    {"POST", "/v1/verify/batch", `{"requests":[{"key":"%k","resource":"\u001b[2J"}]}`, "\ufffd[2J"},
		"NUL in a report":         {"POST", "/v1/usage", `{"key":"%k","requestId":"r","outcome":"success","resource":"a\u0000b"}`, "a\ufffdb"},
		"no UTF-8 in a report":    {"POST", "/v1/usage", `{"key":"%k","requestId":"r","outcome":"success","resource":"` + "\xff" + `"}`, "\ufffd"},
		"a line end in a report":  {"POST", "/v1/usage", `{"key":"%k","requestId":"r","outcome":"success","resource":"a\nb"}`, "a\ufffdb"},
		"letters of any language": {"POST", "/v1/usage", `{"key":"%k","requestId":"r","outcome":"success","resource":"größe 大"}`, "größe 大"},
	} {
		t.Run(name, func(t *testing.T) {
			f, told := recorded(t)
			w := f.do(test.method, test.target, withKey([]string{test.body}, f.key)[0], "X-API-Key: "+f.key)
			if w.Code != 200 || len(told.events) != 1 {
				t.Fatalf("got %d %s, and %d events", w.Code, w.Body, len(told.events))
			}
			if got := told.events[0].Resource; got != test.want {
				t.Errorf("recorded is %q, want %q", got, test.want)
			}
		})
	}
}

func TestNumbersAreRecordedToTheLastDigit(t *testing.T) {
	f, told := recorded(t)
	const spend, bytes, latency = int64(249_999_999_999_999), int64(verifier.MaxBytes - 1), int64(86_399_999)
	body := `{"key":%q,"requestId":"r","spendMicrocents":%d,"bytes":%d,"latencyMs":%d}`
	f.do("POST", "/v1/usage", fmt.Sprintf(body, f.key, spend, bytes, latency))
	if len(told.events) != 1 {
		t.Fatalf("%d events are recorded", len(told.events))
	}
	if e := told.events[0]; e.SpendMicrocents != spend || e.Bytes != bytes || e.Latency.Milliseconds() != latency {
		t.Errorf("recorded is %d microcents, %d bytes, %v", e.SpendMicrocents, e.Bytes, e.Latency)
	}
}
