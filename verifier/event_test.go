package verifier_test

import (
	"fmt"
	"testing"
	"time"

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
