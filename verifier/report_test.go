package verifier_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

// limitedFixture has a key "k" that some limits hold for, each of the name of its place: a, b, c.
func limitedFixture(t *testing.T, limits ...v1alpha1.KeyLimitSpec) (f *fixture, key string) {
	t.Helper()
	f = newFixture(t)
	var names []string
	for i, limit := range limits {
		names = append(names, string(rune('a'+i)))
		indextest.SetKeyLimit(f.index, names[i], limit)
	}
	return f, indextest.Issue(t, f.index, "k", func(s *spec) { s.LimitRefs = indextest.Refs(names...) })
}

func (f *fixture) report(t *testing.T, r verifier.Report) *verifier.Reported {
	t.Helper()
	if r.Key == "" && r.KeyID.IsZero() {
		r.KeyID = keyID("k")
	}
	reported, err := f.Report(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return &reported
}

func (f *fixture) expect(t *testing.T, r verifier.Request, code verifier.Code) verifier.Decision {
	t.Helper()
	d := f.verify(t, r)
	if d.Code != code {
		t.Errorf("got %s, want %s", d.Code, code)
	}
	return d
}

func TestTheRequestThatCrossesABudgetPassedAndTheNextDoesNot(t *testing.T) {
	f, key := limitedFixture(t, indextest.Budget(1000, v1alpha1.ResetDaily))
	f.expect(t, verifier.Request{Key: key, Cost: verifier.Cost{SpendMicrocents: 100}}, verifier.CodeValid)
	if left := f.report(t, verifier.Report{RequestID: "1", SpendMicrocents: 899}).Limits.At(0).Remaining; left != 1 {
		t.Errorf("%d are left, want 1", left)
	}
	f.expect(t, verifier.Request{Key: key}, verifier.CodeValid)
	if left := f.report(t, verifier.Report{RequestID: "2", SpendMicrocents: 700}).Limits.At(0).Remaining; left != 0 {
		t.Errorf("%d are left, want 0", left)
	}
	d := f.expect(t, verifier.Request{Key: key}, verifier.CodeBudgetExhausted)
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	if !d.Limits.At(0).ResetAt.Equal(midnight) || d.RetryAfter != midnight.Sub(now) {
		t.Errorf("until %v, in %v", d.Limits.At(0).ResetAt, d.RetryAfter)
	}
	f.now = midnight
	f.expect(t, verifier.Request{Key: key}, verifier.CodeValid)
}

func TestOfReportsOfOneRequestTheFirstCounts(t *testing.T) {
	f, key := limitedFixture(t, indextest.Budget(1000, v1alpha1.ResetDaily))
	other := indextest.Issue(t, f.index, "other", func(s *spec) { s.LimitRefs = indextest.Refs("a") })
	for _, step := range []struct {
		report verifier.Report
		again  bool
		left   int64
	}{
		{verifier.Report{RequestID: "1", Key: key, SpendMicrocents: 100}, false, 900},
		{verifier.Report{RequestID: "1", KeyID: keyID("k"), SpendMicrocents: 200}, true, 900},
		{verifier.Report{RequestID: "1", Key: other, SpendMicrocents: 300}, false, 700},
		{verifier.Report{RequestID: "2", Key: key, SpendMicrocents: 400}, false, 500},
	} {
		reported := f.report(t, step.report)
		if left := reported.Limits.At(0).Remaining; reported.Again != step.again || left != step.left || !reported.At.Equal(now) {
			t.Errorf("%d of request %s: again %t, %d are left", step.report.SpendMicrocents, step.report.RequestID, reported.Again, left)
		}
	}
}

func TestAReportedRequestMakesRoomForTheNext(t *testing.T) {
	f, key := limitedFixture(t, indextest.Concurrency(2))
	one, two, three := verifier.Request{ID: "1", Key: key}, verifier.Request{ID: "2", Key: key}, verifier.Request{ID: "3", Key: key}
	if d := f.expect(t, one, verifier.CodeValid); !d.Limits.UnderWay() {
		t.Error("it is not known that somebody waits for a report")
	}
	f.expect(t, two, verifier.CodeValid)
	f.expect(t, three, verifier.CodeConcurrencyExceeded)
	f.report(t, verifier.Report{RequestID: "3"}) // of a request that never passed
	f.expect(t, three, verifier.CodeConcurrencyExceeded)
	if left := f.report(t, verifier.Report{RequestID: "1"}).Limits.At(0).Remaining; left != 1 {
		t.Errorf("%d are left, want 1", left)
	}
	f.report(t, verifier.Report{RequestID: "1"})
	f.expect(t, three, verifier.CodeValid)
	f.expect(t, one, verifier.CodeConcurrencyExceeded)
}

func TestRequestsOfOneIDHoldASlotEach(t *testing.T) {
	f, key := limitedFixture(t, indextest.Concurrency(2))
	request := verifier.Request{ID: "same", Key: key}
	f.expect(t, request, verifier.CodeValid)
	f.expect(t, request, verifier.CodeValid)
	f.expect(t, request, verifier.CodeConcurrencyExceeded)
	f.report(t, verifier.Report{RequestID: "same"})
	f.expect(t, request, verifier.CodeValid)
	f.expect(t, request, verifier.CodeConcurrencyExceeded)
}

func TestARequestThatNobodyReportsIsOverInTheEnd(t *testing.T) {
	timeout := indextest.Concurrency(1)
	timeout.Concurrency.Timeout = &metav1.Duration{Duration: 30 * time.Second}
	f, key := limitedFixture(t, timeout)
	f.expect(t, verifier.Request{ID: "1", Key: key}, verifier.CodeValid)
	f.now = f.now.Add(30*time.Second - 1)
	if d := f.expect(t, verifier.Request{ID: "2", Key: key}, verifier.CodeConcurrencyExceeded); d.RetryAfter <= 0 || d.RetryAfter > time.Second {
		t.Errorf("it asks to wait for %v", d.RetryAfter)
	}
	f.now = f.now.Add(1)
	f.expect(t, verifier.Request{ID: "2", Key: key}, verifier.CodeValid)
	// The first one's report is too late: it takes the slot of nobody else, and what it cost it cost.
	f.report(t, verifier.Report{RequestID: "1"})
	f.expect(t, verifier.Request{ID: "3", Key: key}, verifier.CodeConcurrencyExceeded)
}

func TestOfAKeyThatMayNoMoreIsReportedToo(t *testing.T) {
	for name, edit := range map[string]func(*spec){
		"revoked":  func(s *spec) { s.State = v1alpha1.KeyRevoked },
		"disabled": func(s *spec) { s.State = v1alpha1.KeyDisabled },
		"expired":  func(s *spec) { s.TTL = &metav1.Duration{Duration: time.Minute} },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := limitedFixture(t, indextest.Budget(1000, v1alpha1.ResetDaily))
			key := indextest.Issue(t, f.index, "k", edit, func(s *spec) { s.LimitRefs = indextest.Refs("a") })
			f.report(t, verifier.Report{RequestID: "1", Key: key, SpendMicrocents: 100})
			if left := f.report(t, verifier.Report{RequestID: "2", KeyID: keyID("k"), SpendMicrocents: 100}).Limits.At(0).Remaining; left != 800 {
				t.Errorf("%d are left, want 800", left)
			}
		})
	}
}

func TestAKeyThatThereIsNotCannotBeReported(t *testing.T) {
	f, key := limitedFixture(t, indextest.Budget(1000, v1alpha1.ResetDaily))
	orphan := indextest.Issue(t, f.index, "orphan", func(s *spec) { s.WorkspaceRef.Name = "gone" })
	deleted := indextest.Issue(t, f.index, "deleted")
	f.index.DeleteApiKey(indextest.UID("key", "deleted"))
	for name, r := range map[string]verifier.Report{
		"noise":                 {Key: "noise"},
		"a key cut short":       {Key: key[:len(key)-1]},
		"deleted":               {Key: deleted},
		"deleted, by its ID":    {KeyID: keyID("deleted")},
		"of no workspace":       {Key: orphan},
		"of none, by its ID":    {KeyID: keyID("orphan")},
		"an ID that nobody has": {KeyID: keyID("nobody")},
	} {
		r.RequestID, r.SpendMicrocents = "1", 100
		if _, err := f.Report(t.Context(), r); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := f.report(t, verifier.Report{RequestID: "1"}).Limits.At(0).Remaining; left != 1000 {
		t.Errorf("%d are left, want all", left)
	}
}

func TestTryingKeysByReportingThemIsSlowed(t *testing.T) {
	f, key := limitedFixture(t)
	from := netip.MustParseAddr("192.0.2.1")
	guess := verifier.Report{RequestID: "1", Key: "guess", ClientIP: from}
	for range verifier.DefaultInvalidKeysPerMinute {
		if _, err := f.Report(t.Context(), guess); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Fatalf("before it is too much: %v", err)
		}
	}
	if reported, err := f.Report(t.Context(), guess); !errors.Is(err, verifier.ErrTooManyUnknownKeys) || reported.RetryAfter <= 0 {
		t.Errorf("then: %v, wait %v", err, reported.RetryAfter)
	}
	f.expect(t, verifier.Request{Key: "guess", ClientIP: from}, verifier.CodeRateLimited)
	for name, r := range map[string]verifier.Report{
		"from elsewhere":            {Key: "guess", ClientIP: netip.MustParseAddr("192.0.2.2")},
		"from nobody knows where":   {Key: "guess"},
		"an ID, which is no secret": {KeyID: keyID("nobody"), ClientIP: from},
	} {
		r.RequestID = "1"
		if _, err := f.Report(t.Context(), r); !errors.Is(err, verifier.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.report(t, verifier.Report{RequestID: "1", Key: key, ClientIP: from})
}

func TestLimitsInShadowCountReportsToo(t *testing.T) {
	f, key := limitedFixture(t, indextest.Shadow(indextest.Budget(1000, v1alpha1.ResetDaily)), indextest.Shadow(indextest.Concurrency(1)))
	shadows := func(request verifier.Request) []string {
		t.Helper()
		f.expect(t, request, verifier.CodeValid)
		if refusal := f.ledger.events[len(f.ledger.events)-1].Refusal; refusal != nil {
			return refusal.Shadows
		}
		return nil
	}
	budget, concurrency := string(indextest.UID("limit", "a")), string(indextest.UID("limit", "b"))
	if d := f.expect(t, verifier.Request{ID: "1", Key: key}, verifier.CodeValid); !d.Limits.UnderWay() || d.Limits.Len() != 0 {
		t.Errorf("of the first request is told %+v", d.Limits)
	}
	if got := shadows(verifier.Request{ID: "2", Key: key}); !slices.Equal(got, []string{concurrency}) {
		t.Errorf("the second would have been refused by %q", got)
	}
	f.report(t, verifier.Report{RequestID: "1", SpendMicrocents: 5000})
	if got := shadows(verifier.Request{ID: "3", Key: key}); !slices.Equal(got, []string{budget}) {
		t.Errorf("after the report the third would have been refused by %q", got)
	}
}

func TestNothingIsUnderWayWhereNoLimitCountsIt(t *testing.T) {
	f, key := limitedFixture(t, indextest.Quota(1000, v1alpha1.ResetDaily), indextest.Budget(1000, v1alpha1.ResetDaily))
	if d := f.expect(t, verifier.Request{ID: "1", Key: key}, verifier.CodeValid); d.Limits.UnderWay() {
		t.Error("it is")
	}
}

func TestReportsThatMakeNoSense(t *testing.T) {
	f, _ := limitedFixture(t, indextest.Budget(1000, v1alpha1.ResetDaily))
	k := keyID("k")
	long := strings.Repeat("a", verifier.MaxText+1)
	for name, test := range map[string]struct {
		report verifier.Report
		text   string
	}{
		"no request":         {verifier.Report{KeyID: k}, "requestId must be that of the decision, of 1 to 512 bytes"},
		"too long a name":    {verifier.Report{KeyID: k, RequestID: long}, "requestId must be that of the decision, of 1 to 512 bytes"},
		"no key":             {verifier.Report{RequestID: "1"}, "state key or keyId, and not both"},
		"a key twice":        {verifier.Report{RequestID: "1", Key: "a", KeyID: k}, "state key or keyId, and not both"},
		"money back":         {verifier.Report{RequestID: "1", KeyID: k, SpendMicrocents: -1}, "spendMicrocents must be from 0 to 250000000000000"},
		"more than there is": {verifier.Report{RequestID: "1", KeyID: k, SpendMicrocents: 250_000_000_000_001}, "spendMicrocents must be from 0 to 250000000000000"},
		"another outcome":    {verifier.Report{RequestID: "1", KeyID: k, Outcome: "ok"}, "outcome must be success or failure; leave it out where it is not known"},
		"an error of what?":  {verifier.Report{RequestID: "1", KeyID: k, Error: "e"}, "error says why a request failed; state the outcome failure, or leave it out"},
		"a long error":       {verifier.Report{RequestID: "1", KeyID: k, Outcome: verifier.OutcomeFailure, Error: long}, "error is longer than 512 bytes"},
		"a long tier":        {verifier.Report{RequestID: "1", KeyID: k, Labels: verifier.Labels{Tier: long}}, "labels.tier is longer than 512 bytes"},
		"a long domain":      {verifier.Report{RequestID: "1", KeyID: k, Labels: verifier.Labels{Domain: long}}, "labels.domain is longer than 512 bytes"},
		"bytes taken back":   {verifier.Report{RequestID: "1", KeyID: k, Bytes: -1}, "bytes must be from 0 to 1099511627776"},
		"bytes of a year":    {verifier.Report{RequestID: "1", KeyID: k, Bytes: verifier.MaxBytes + 1}, "bytes must be from 0 to 1099511627776"},
		"before it began":    {verifier.Report{RequestID: "1", KeyID: k, Latency: -1}, "latencyMs must be from 0 to 86400000"},
		"longer than a day":  {verifier.Report{RequestID: "1", KeyID: k, Latency: verifier.MaxLatency + 1}, "latencyMs must be from 0 to 86400000"},
	} {
		_, err := f.Report(t.Context(), test.report)
		if err == nil || err.Error() != test.text {
			t.Errorf("%s: %v, want %s", name, err, test.text)
		}
	}
	whole := verifier.Report{
		RequestID: "1", KeyID: k, SpendMicrocents: 100, Outcome: verifier.OutcomeFailure, Error: "it broke",
		Labels: verifier.Labels{Tier: "gold", Domain: "d"}, Latency: verifier.MaxLatency, Bytes: verifier.MaxBytes,
	}
	if reported := f.report(t, whole); reported.Again || reported.Limits.At(0).Remaining != 900 {
		t.Errorf("after all of them a whole one: %+v", reported)
	}
}

// slowLedger is a ledger that needs a while to write an outcome down.
type slowLedger struct {
	ledger
	written chan struct{}
}

func (l *slowLedger) Report(e usage.Event) {
	<-l.written
	l.ledger.Report(e)
}

// Whoever is told that his report came again may forget it. So the first one must be on disk by then.
func TestASecondReportIsAnsweredWhenTheFirstIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index, told := indextest.New(), &slowLedger{written: make(chan struct{})}
		indextest.Issue(t, index, "k")
		v, err := verifier.New(verifier.Options{Index: index, Recorder: told})
		if err != nil {
			t.Fatal(err)
		}
		var answered, again atomic.Int32
		report := func(ctx context.Context, id string) {
			reported, err := v.Report(ctx, verifier.Report{RequestID: id, KeyID: keyID("k"), Outcome: verifier.OutcomeSuccess})
			if err == nil {
				answered.Add(1)
			} else if !errors.Is(err, verifier.ErrLimitsUnavailable) || reported.RetryAfter <= 0 {
				t.Errorf("who waits no longer is told %v, to come in %v", err, reported.RetryAfter)
			}
			if reported.Again {
				again.Add(1)
			}
		}
		gone, leave := context.WithCancel(t.Context())
		for range 3 {
			go report(t.Context(), "1")
		}
		synctest.Wait()
		go report(gone, "1")
		synctest.Wait()
		leave()
		synctest.Wait()
		if answered.Load() != 0 {
			t.Errorf("%d are answered before anything is recorded", answered.Load())
		}
		go report(t.Context(), "2") // which is held up by none of them
		told.written <- struct{}{}
		told.written <- struct{}{}
		synctest.Wait()
		if len(told.events) != 2 || answered.Load() != 4 || again.Load() != 2 {
			t.Errorf("%d are recorded, %d answered, %d as coming again", len(told.events), answered.Load(), again.Load())
		}
	})
}
