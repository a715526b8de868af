package verifier_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

func TestOutcomesAreRecordedWithWhatTheyTell(t *testing.T) {
	f, key := limitedFixture(t)
	f.expect(t, verifier.Request{ID: "1", Key: key, Resource: "r", Labels: verifier.Labels{Tier: "gold", Domain: "d.example"}, Cost: verifier.Cost{SpendMicrocents: 5}}, verifier.CodeValid)
	full := verifier.Report{
		RequestID: "1", SpendMicrocents: 7, Outcome: verifier.OutcomeFailure, Error: "it broke", Resource: "r",
		Labels: verifier.Labels{Tier: "gold", Domain: "d.example"}, Latency: time.Second, Bytes: 9, HTTPStatus: 502,
	}
	f.report(t, full)
	f.report(t, full) // again
	f.report(t, verifier.Report{RequestID: "2", Outcome: verifier.OutcomeSuccess})
	f.report(t, verifier.Report{RequestID: "3", SpendMicrocents: 1})
	f.report(t, verifier.Report{RequestID: "4"}) // is over, and there is no more to tell

	want := []struct {
		request string
		details usage.Details
		spend   int64
	}{
		{"1", usage.Details{Tier: "gold", Domain: "d.example", Resource: "r"}, 5},
		{"1", usage.Details{Status: usage.Failed, Error: "it broke", Tier: "gold", Domain: "d.example", Resource: "r"}, 7},
		{"2", usage.Details{Status: usage.Succeeded}, 0},
		{"3", usage.Details{Status: usage.Reported}, 1},
	}
	if len(f.ledger.events) != len(want) {
		t.Fatalf("%d events are recorded, want %d: %+v", len(f.ledger.events), len(want), f.ledger.events)
	}
	for i, e := range f.ledger.events {
		if e.RequestID != want[i].request || e.Details != want[i].details || e.SpendMicrocents != want[i].spend ||
			e.Key != keyID("k") || e.Workspace != "tenant/shop" || !e.At.Equal(now) {
			t.Errorf("event %d is %+v, want %+v", i, e, want[i])
		}
	}
	if e := f.ledger.events[1]; e.Latency != time.Second || e.Bytes != 9 || e.HTTPStatus != 502 {
		t.Errorf("the outcome is recorded as %+v", e)
	}
}

func TestWhatWasDeniedCostsNothing(t *testing.T) {
	f, key := limitedFixture(t)
	f.expect(t, verifier.Request{Key: key, Scopes: verifier.Scopes{AllOf: []string{"admin"}}, Cost: verifier.Cost{SpendMicrocents: 5}}, verifier.CodeScopeInsufficient)
	if e := f.ledger.events[0]; e.SpendMicrocents != 0 || e.Status != usage.Denied || e.Error != "SCOPE_INSUFFICIENT" {
		t.Errorf("recorded is %+v", e)
	}
}

func TestAKeyInATextIsNotRecorded(t *testing.T) {
	f, key := limitedFixture(t)
	f.expect(t, verifier.Request{Key: key, Resource: key, Labels: verifier.Labels{Tier: key, Domain: key}}, verifier.CodeValid)
	f.report(t, verifier.Report{RequestID: "1", Outcome: verifier.OutcomeFailure, Error: "upstream refused " + key})
	if d := f.ledger.events[0].Details; d != (usage.Details{Tier: "(redacted)", Domain: "(redacted)", Resource: "(redacted)"}) {
		t.Errorf("recorded is %+v", d)
	}
	if e := f.ledger.events[1].Error; e != "(redacted)" {
		t.Errorf("recorded is %q", e)
	}
}

// noise are texts that PostgreSQL refuses, or a terminal obeys, and what is kept of them.
var noise = map[string]string{
	"a\x00b": "a\ufffdb", "\xff": "\ufffd", "a\xc3\x28": "a\ufffd(", "\xed\xa0\x80": "\ufffd\ufffd\ufffd", "a\x1b[2J\r\n": "a\ufffd[2J\ufffd\ufffd", "\x7f\u0085": "\ufffd\ufffd",
	"grüße \U0001f600": "grüße \U0001f600", strings.Repeat("a", 511) + "\x00": strings.Repeat("a", 511),
}

func TestTextsAreRecordedAsEachStoreTakesThem(t *testing.T) {
	for text, want := range noise {
		f, key := limitedFixture(t)
		f.expect(t, verifier.Request{Key: key, Resource: text, Labels: verifier.Labels{Tier: text, Domain: text}}, verifier.CodeValid)
		f.report(t, verifier.Report{
			RequestID: "1", Outcome: verifier.OutcomeFailure, Error: text, Resource: text, Labels: verifier.Labels{Tier: text, Domain: text},
		})
		for i, e := range []string{"", want} {
			status := []usage.Status{usage.Allowed, usage.Failed}[i]
			if d := f.ledger.events[i].Details; d != (usage.Details{Status: status, Error: e, Tier: want, Domain: want, Resource: want}) {
				t.Errorf("%q is recorded as %+v", text, d)
			}
		}
	}
}

// Different requests must not become one by that: of the outcomes of one only the first counts.
func TestIDsThatAreNoTextStayApart(t *testing.T) {
	f, key := limitedFixture(t)
	recorded := map[string]string{}
	for _, id := range []string{"\x00", "\x01", "\xff", "\xfe", "a", "", key, key + "1", strings.Repeat("a", 512) + "\x00", strings.Repeat("a", 512) + "\x01", "\ufffd"} {
		f.ledger.events = nil
		f.expect(t, verifier.Request{ID: id, Key: key}, verifier.CodeValid)
		if id != "" && len(id) <= verifier.MaxText {
			f.report(t, verifier.Report{RequestID: id, Outcome: verifier.OutcomeSuccess})
		}
		for _, e := range f.ledger.events {
			got := e.RequestID
			if got != f.ledger.events[0].RequestID {
				t.Errorf("of %q the decision is recorded as %q and the outcome as %q", id, f.ledger.events[0].RequestID, got)
			}
			if other, taken := recorded[got]; taken && other != id {
				t.Errorf("%q and %q are both recorded as %q", id, other, got)
			}
			recorded[got] = id
			if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || len(got) > verifier.MaxText || strings.Contains(got, key) {
				t.Errorf("%q is recorded as %q", id, got)
			}
		}
	}
	if recorded["a"] != "a" {
		t.Error("what is a text is not recorded as it is")
	}
}

func TestKeysOfOtherFormatsInATextAreNotRecorded(t *testing.T) {
	const key, others = "sk-9f8e7d6c5b4a3928", "sk-0000000000000000"
	f, _ := limitedFixture(t)
	indextest.Bring(t, f.index, "brought", key)
	indextest.Bring(t, f.index, "other", others)
	in := "refused " + key
	f.expect(t, verifier.Request{ID: "a-" + key, Key: key, Resource: in, Labels: verifier.Labels{Tier: key, Domain: "x" + key}}, verifier.CodeValid)
	f.report(t, verifier.Report{RequestID: "b-" + key, Key: key, Outcome: verifier.OutcomeFailure, Error: in, Resource: "/" + key, Labels: verifier.Labels{Tier: key, Domain: key}})
	f.report(t, verifier.Report{
		RequestID: key, KeyID: keyID("brought"), Outcome: verifier.OutcomeFailure, Error: "upstream refused \"" + key + "\".", Resource: key, Labels: verifier.Labels{Tier: in, Domain: in},
	})
	const gone = "(redacted)"
	for i, e := range f.ledger.events {
		if e.RequestID != gone || e.Tier != gone || e.Domain != gone || e.Resource != gone || i > 0 && e.Error != gone {
			t.Errorf("event %d is recorded as %q, %+v", i, e.RequestID, e.Details)
		}
	}
	// Who may read the usage of a key cannot try others in its texts: whether they are keys makes no difference.
	f.report(t, verifier.Report{RequestID: "1", KeyID: keyID("brought"), Outcome: verifier.OutcomeFailure, Error: others, Resource: "short"})
	if e := f.ledger.events[3]; e.Error != others || e.Resource != "short" {
		t.Errorf("beside another's key is recorded %+v", e.Details)
	}
}

func logging(retention time.Duration, percent int32) func(*v1alpha1.WorkspaceSpec) {
	return func(s *v1alpha1.WorkspaceSpec) {
		s.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: metav1.Duration{Duration: retention}, SamplePercent: ptr.To(percent)}}
	}
}

func TestTheWorkspaceSaysWhatIsLoggedAndForHowLong(t *testing.T) {
	f, key := limitedFixture(t)
	logged := func(request string) time.Duration {
		t.Helper()
		f.ledger.events = nil
		f.expect(t, verifier.Request{ID: request, Key: key}, verifier.CodeValid)
		f.report(t, verifier.Report{RequestID: request, Outcome: verifier.OutcomeSuccess})
		if f.ledger.events[0].KeepLine != f.ledger.events[1].KeepLine {
			t.Errorf("of request %s the decision is kept for %v and the outcome for %v", request, f.ledger.events[0].KeepLine, f.ledger.events[1].KeepLine)
		}
		return f.ledger.events[0].KeepLine
	}
	if got := logged("a"); got != 0 {
		t.Errorf("without a word from the workspace a line is kept for %v", got)
	}
	indextest.SetWorkspace(f.index, "shop", logging(48*time.Hour, 100))
	if got := logged("b"); got != 48*time.Hour {
		t.Errorf("a line is kept for %v", got)
	}
	indextest.SetWorkspace(f.index, "shop", logging(48*time.Hour, 25))
	lines := 0
	for i := range 1000 {
		if logged(fmt.Sprint("c", i)) > 0 {
			lines++
		}
	}
	if lines < 200 || lines > 300 {
		t.Errorf("of 1000 requests %d are logged, want a quarter", lines)
	}
}

func TestEventsKnowTheirBillingPeriod(t *testing.T) {
	for zone, want := range map[string]struct {
		start    time.Time
		quarters bool
	}{
		"UTC":              {time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC), false},
		"America/New_York": {time.Date(2026, 2, 15, 5, 0, 0, 0, time.UTC), false},
		"Asia/Kolkata":     {time.Date(2026, 2, 14, 18, 30, 0, 0, time.UTC), true},
	} {
		t.Run(zone, func(t *testing.T) {
			f, key := limitedFixture(t)
			f.now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			indextest.SetWorkspace(f.index, "shop", func(s *v1alpha1.WorkspaceSpec) {
				s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetMonthly, AnchorDay: ptr.To[int32](15), TimeZone: zone}
			})
			f.expect(t, verifier.Request{Key: key}, verifier.CodeValid)
			if e := f.ledger.events[0]; !e.PeriodStart.Equal(want.start) || e.Quarters != want.quarters {
				t.Errorf("the period began at %v, in quarters: %t", e.PeriodStart, e.Quarters)
			}
		})
	}
}
