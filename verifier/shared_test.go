package verifier_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/test/valkeyserver"
	"github.com/claviger-dev/claviger/verifier"
)

// sharing starts a verifier that counts together with others on a server.
func sharing(t *testing.T, index *keyindex.Index, server *valkeyserver.Server) *verifier.Verifier {
	t.Helper()
	return sharingAs(t, index, server, nil)
}

// sharingAs is sharing, with somebody who is told of usage.
func sharingAs(t *testing.T, index *keyindex.Index, server *valkeyserver.Server, told verifier.Recorder) *verifier.Verifier {
	t.Helper()
	v, err := verifier.New(verifier.Options{
		Index: index, Recorder: told, SharedLimits: &verifier.SharedLimits{URL: server.URL(), Outage: "closed", Timeout: 5 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return v
}

// await waits until a verifier is connected: before, it refuses what limits hold for.
func await(t *testing.T, v *verifier.Verifier, key string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if d := v.Verify(t.Context(), verifier.Request{Key: key}); d.Valid() {
			return
		}
	}
	t.Fatal("the server of the shared limits is not found")
}

// Of limits that are leased and limits that are asked for, a request takes all or none, and what is in
// shadow lets it pass.
func TestSharedLimitsAreTakenAllOrNone(t *testing.T) {
	server := valkeyserver.Start(t)
	index := indextest.New()
	hour := metav1.Duration{Duration: time.Hour}
	setLimit(index, "connecting", limitSpec{Rates: []v1alpha1.Rate{{Requests: 1000, Per: hour}}})
	setLimit(index, "leased", limitSpec{Rates: []v1alpha1.Rate{{Requests: 20, Per: hour}}})
	setLimit(index, "strict", limitSpec{Quota: quotaOf(5), Consistency: v1alpha1.ConsistencyStrict})
	setLimit(index, "tried", limitSpec{Mode: v1alpha1.ModeShadow, Consistency: v1alpha1.ConsistencyStrict, Rates: []v1alpha1.Rate{{Requests: 1, Per: hour}}})
	key := indextest.Issue(t, index, "k", limitedBy("leased", "strict", "tried"))
	other := indextest.Issue(t, index, "connecting", limitedBy("connecting"))
	one, two := sharing(t, index, server), sharing(t, index, server)
	await(t, one, other)
	await(t, two, other)

	for i := range 12 {
		v := []*verifier.Verifier{one, two}[i%2]
		d := v.Verify(t.Context(), verifier.Request{Key: key})
		if d.Valid() != (i < 5) || d.Limits.Len() != 2 {
			t.Fatalf("request %d: %v %v", i+1, d.Code, left(d))
		}
		if i >= 5 && (d.Code != verifier.CodeQuotaExhausted || d.Limits.At(1).Remaining != 0) {
			t.Errorf("request %d: %v %v", i+1, d.Code, left(d))
		}
	}
	// What the leased limit let pass and the other refused was given back.
	setLimit(index, "strict", limitSpec{Quota: quotaOf(1000), Consistency: v1alpha1.ConsistencyStrict})
	admitted := 0
	for i := range 60 {
		if d := []*verifier.Verifier{one, two}[i%2].Verify(t.Context(), verifier.Request{Key: key}); d.Valid() {
			admitted++
		}
	}
	if admitted < 14 || admitted > 15 { // one may lie in the other's lease
		t.Errorf("of 20, 5 were used, and another %d were admitted", admitted)
	}
}

func TestALeasedDecisionTakesNoMemory(t *testing.T) {
	server := valkeyserver.Start(t)
	index := indextest.New()
	indextest.SetLimit(index, "wide", 10_000_000, time.Hour, 0)
	key := indextest.Issue(t, index, "k", limitedBy("wide"))
	v := sharing(t, index, server)
	await(t, v, key)
	ctx := t.Context()
	// Refills have memory of their own, and are few among so many.
	if n := testing.AllocsPerRun(100_000, func() { v.Verify(ctx, verifier.Request{Key: key}) }); n > 0 {
		t.Errorf("it takes %v allocations", n)
	}
}

// The mark in the shared store, by which verifiers know what was reported to others, is made before a report is recorded. A
// verifier that is killed in between must not have the outcome lost: its client did not hear from it, and reports again.
func TestAReportThatAnotherVerifierMayNotHaveRecordedIsRecorded(t *testing.T) {
	server := valkeyserver.Start(t)
	index := indextest.New()
	budget := indextest.Budget(1000, v1alpha1.ResetDaily)
	budget.Consistency = v1alpha1.ConsistencyStrict
	setLimit(index, "budget", budget)
	key := indextest.Issue(t, index, "k", limitedBy("budget"))
	told := &ledger{}
	killed, next := sharing(t, index, server), sharingAs(t, index, server, told)
	await(t, killed, key)
	await(t, next, key)
	told.events = nil

	report := verifier.Report{RequestID: "1", KeyID: keyID("k"), Outcome: verifier.OutcomeSuccess, SpendMicrocents: 100}
	for i, v := range []*verifier.Verifier{killed, next, next} {
		reported, err := v.Report(t.Context(), report)
		if err != nil || reported.Again != (i > 0) {
			t.Errorf("report %d: again %t, %v", i+1, reported.Again, err)
		}
	}
	d := next.Verify(t.Context(), verifier.Request{Key: key})
	if left := d.Limits.At(0).Remaining; left != 900 {
		t.Errorf("%d are left of the budget, want 900: it is charged once", left)
	}
	if len(told.events) != 2 || told.events[0].Status != usage.Succeeded {
		t.Errorf("recorded is %+v, want the outcome once, and a decision", told.events)
	}
}
