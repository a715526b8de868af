package usage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

func TestThrottledAndExhaustedKeysAreCountedUpAndDown(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	limit := createLimit(t, "updown", aRate())
	busy, spent := createKey(t, "busy"), createKey(t, "spent")
	v.refuse(busy, limit, "RATE_LIMITED", november, november.Add(time.Hour))
	awaitSeen(t, "updown", "throttled 1 exhausted 0 denied 1 shadow 0")
	v.refuse(spent, limit, "BUDGET_EXHAUSTED", november, nextMonth)
	v.refuse(busy, limit, "RATE_LIMITED", november.Add(time.Second), november.Add(time.Hour))
	awaitSeen(t, "updown", "throttled 1 exhausted 1 denied 3 shadow 0")
	awaitExhausted(t, "spent", "updown BudgetExhausted until 2026-12-01T00:00:00Z")
	if got, want := columns(t, "updown"), []string{"1", "1h0m0s", "PerKey", "Enforce", "1", "1"}; !slices.Equal(got, want) {
		t.Errorf("kubectl shows %q, want %q: one key throttled and one exhausted", got, want)
	}
	if u := readKey(t, "spent").Status.Usage; *u.RemainingMicrocents != 5_000_000 || !u.BudgetResetAt.Time.Equal(nextMonth) || u.Remaining != nil {
		t.Errorf("what is left reads %v until %v, and %v requests", u.RemainingMicrocents, u.BudgetResetAt, u.Remaining)
	}

	// Nothing is asked from here on.
	v.pass(t, november.Add(time.Hour), allHold)
	awaitSeen(t, "updown", "throttled 0 exhausted 1 denied 3 shadow 0")
	v.pass(t, nextMonth, allHold)
	awaitSeen(t, "updown", "throttled 0 exhausted 0 denied 3 shadow 0")
	awaitExhausted(t, "spent", "no")
}

func TestWhatALimitInShadowWouldHaveDeniedIsSeen(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	limit := createLimit(t, "tried", aRate())
	key := createKey(t, "tried")
	for range 3 {
		v.record(key, "VALID", november, &usage.Refusal{Shadows: []string{string(limit.UID)}})
	}
	awaitSeen(t, "tried", "throttled 0 exhausted 0 denied 0 shadow 3")
	awaitUsage(t, "tried", "2026-11 3/0 total 3/0 last 2026-11-21T10:30:00Z")
}

func TestThatAKeyRanOutIsWarnedOfOnceAlsoOverARestart(t *testing.T) {
	v := startVerifier(t)
	stop := startOperator(t, v)
	limit := createLimit(t, "once", aRate())
	key, witness := createKey(t, "once"), createKey(t, "once-witness")
	v.refuse(key, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	says := []string{"Warning QuotaExhausted", `KeyLimit "once"`, "2026-12-01T00:00:00Z", "raise spec.quota.requests"}
	awaitWarning(t, key, says...)
	awaitExhausted(t, "once", "once QuotaExhausted until 2026-12-01T00:00:00Z")
	stop()

	startOperator(t, v)
	v.refuse(key, limit, "QUOTA_EXHAUSTED", november.Add(time.Minute), nextMonth)
	awaitSeen(t, "once", "throttled 0 exhausted 1 denied 2 shadow 0")
	awaitUsage(t, "once", "2026-11 0/2 total 0/2 last 2026-11-21T10:31:00Z")
	v.refuse(witness, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	awaitWarning(t, witness, says...)
	awaitWarning(t, key, says...)

	// In the next period it is another matter.
	v.pass(t, nextMonth, allHold)
	awaitExhausted(t, "once", "no")
	v.refuse(key, limit, "QUOTA_EXHAUSTED", nextMonth, nextMonth.AddDate(0, 1, 0))
	await(t, func() string {
		if got := warnings(t, key); len(got) != 2 && !strings.Contains(strings.Join(got, ""), "(2 times)") {
			return fmt.Sprintf("in the next period is warned %q", got)
		}
		return ""
	})
}

func TestAnApiKeyThatWasDeletedIsNeitherWarnedOfNorCounted(t *testing.T) {
	v := startVerifier(t)
	limit := createLimit(t, "outlives", aRate())
	old, witness := createKey(t, "short"), createKey(t, "short-witness")
	v.refuse(old, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	v.refuse(witness, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	if err := admin(t).Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	successor := createKey(t, "short")
	startOperator(t, v)
	awaitWarning(t, witness, "QuotaExhausted")
	if got := append(warnings(t, old), warnings(t, successor)...); len(got) != 0 || summary(readKey(t, "short")) != "none" {
		t.Errorf("of a key that was never used is warned %q, and its usage reads %s", got, summary(readKey(t, "short")))
	}
	// What a verifier knows of the keys that there are.
	v.pass(t, november.Add(time.Minute), func(key keyid.ID, _ string) bool { return key.String() == string(witness.UID) })
	awaitSeen(t, "outlives", "throttled 0 exhausted 1 denied 2 shadow 0")
}

func TestAKeyLimitThatWasDeletedHasExhaustedNobody(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	limit, key := createLimit(t, "shortlived", aRate()), createKey(t, "freed")
	v.refuse(key, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	awaitExhausted(t, "freed", "shortlived QuotaExhausted until 2026-12-01T00:00:00Z")
	if err := admin(t).Delete(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	createLimit(t, "shortlived", aRate())
	v.pass(t, november.Add(time.Minute), func(_ keyid.ID, uid string) bool { return uid != string(limit.UID) })
	awaitExhausted(t, "freed", "no")
	if got := seen(t, "shortlived"); got != "none" {
		t.Errorf("of a limit that refused nothing is seen %q", got)
	}
}

func TestAnEmptiedStatusIsRebuiltThoughNothingIsAskedAnyMore(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	limit, key := createLimit(t, "emptied", aRate()), createKey(t, "emptied")
	v.refuse(key, limit, "QUOTA_EXHAUSTED", november, nextMonth)
	awaitSeen(t, "emptied", "throttled 0 exhausted 1 denied 1 shadow 0")
	awaitExhausted(t, "emptied", "emptied QuotaExhausted until 2026-12-01T00:00:00Z")
	awaitWarning(t, key, "QuotaExhausted")
	for _, object := range []client.Object{limit, key} {
		empty := client.RawPatch("application/merge-patch+json", []byte(`{"status":null}`))
		if err := admin(t).Status().Patch(t.Context(), object, empty); err != nil {
			t.Fatal(err)
		}
	}
	awaitSeen(t, "emptied", "throttled 0 exhausted 1 denied 1 shadow 0")
	awaitExhausted(t, "emptied", "emptied QuotaExhausted until 2026-12-01T00:00:00Z")
	awaitWarning(t, key, "QuotaExhausted")
}

func TestTheUsageAndTheRestOfALimitsStatusDoNotOverwriteEachOther(t *testing.T) {
	v := startVerifier(t)
	startOperator(t, v)
	limit, key := createLimit(t, "both", aRate()), createKey(t, "both")
	apply := func(attached int32) {
		t.Helper()
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(limit), limit); err != nil {
			t.Fatal(err)
		}
		if _, err := status.Apply(t.Context(), admin(t), limit, &v1alpha1.KeyLimitStatus{ObservedGeneration: 1, AttachedKeys: attached}); err != nil {
			t.Fatal(err)
		}
	}
	apply(1)
	v.refuse(key, limit, "RATE_LIMITED", november, november.Add(time.Hour))
	awaitSeen(t, "both", "throttled 1 exhausted 0 denied 1 shadow 0")
	apply(2)
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(limit), limit); err != nil {
		t.Fatal(err)
	}
	if limit.Status.AttachedKeys != 2 || seen(t, "both") != "throttled 1 exhausted 0 denied 1 shadow 0" {
		t.Errorf("the status reads %+v", limit.Status)
	}
}
