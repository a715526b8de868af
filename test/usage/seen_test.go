package usage

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func quotaOf(requests int64) *v1alpha1.Quota {
	return &v1alpha1.Quota{Requests: &requests, ResetPeriod: v1alpha1.ResetMonthly}
}

// edit changes a limit, whatever else has changed of it.
func edit(t *testing.T, name string, spec v1alpha1.KeyLimitSpec) {
	t.Helper()
	await(t, func() string {
		var limit v1alpha1.KeyLimit
		if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &limit); err != nil {
			return err.Error()
		}
		limit.Spec = spec
		if err := admin(t).Update(t.Context(), &limit); err != nil {
			return err.Error()
		}
		return ""
	})
}

// The whole way: a verifier as it is run refuses requests, and what it is asked over HTTP shows on the objects.
func TestWhatAVerifierRefusesIsSeenUntilItIsOver(t *testing.T) {
	p := startProgram(t)
	startOperatorThatSees(t, p.admin, func(c client.Client) client.Client { return c })
	createLimit(t, "quota", v1alpha1.KeyLimitSpec{Quota: quotaOf(2)})
	rate := createLimit(t, "hourly", v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Hour}}}})

	spender, hurrier := p.issue(t, "spender", "quota"), p.issue(t, "hurrier", "hourly")
	p.exhaust(t, spender)
	p.exhaust(t, hurrier)
	if p.ask("/v1/auth", hurrier) == nil {
		t.Fatal("more was allowed than the limit has")
	}
	reset := usagefeed.PeriodStart(time.Now()).AddDate(0, 1, 0).Format(time.RFC3339)
	awaitExhausted(t, "spender", "quota QuotaExhausted until "+reset)
	awaitSeen(t, "quota", "throttled 0 exhausted 1 denied 1 shadow 0")
	awaitSeen(t, "hourly", "throttled 1 exhausted 0 denied 2 shadow 0")
	awaitWarning(t, readKey(t, "spender"), "Warning QuotaExhausted", `KeyLimit "quota"`, reset)

	// Somebody raises the quota: the first request that passes ends it.
	edit(t, "quota", v1alpha1.KeyLimitSpec{Quota: quotaOf(100)})
	p.refusedUntilItPassed(t, spender)
	awaitExhausted(t, "spender", "no")

	// Of a limit that is not enforced any more it is over though nobody asks: it only counts from then on.
	edit(t, "hourly", v1alpha1.KeyLimitSpec{Rates: rate.Spec.Rates, Mode: v1alpha1.ModeShadow})
	refused := p.refusedUntilItPassed(t, hurrier)
	awaitSeen(t, "hourly", fmt.Sprintf("throttled 0 exhausted 0 denied %d shadow 1", 2+refused))
}

// exhaust asks until it is refused for the first time: the limit may not be known yet at first.
func (p *program) exhaust(t *testing.T, key string) {
	t.Helper()
	for range 100 {
		if p.ask("/v1/auth", key) != nil {
			return
		}
	}
	t.Fatal("the limit is never used up")
}

// refusedUntilItPassed asks until it is not refused any more, and returns how often it was.
func (p *program) refusedUntilItPassed(t *testing.T, key string) (refused int) {
	t.Helper()
	await(t, func() string {
		if err := p.ask("/v1/auth", key); err != nil {
			refused++
			return err.Error()
		}
		return ""
	})
	return refused
}

func TestADeletedKeyOrLimitIsNotSeenAsRefused(t *testing.T) {
	p := startProgram(t)
	startOperatorThatSees(t, p.admin, func(c client.Client) client.Client { return c })
	for _, name := range []string{"kept", "dropped"} {
		createLimit(t, name, v1alpha1.KeyLimitSpec{Quota: quotaOf(1)})
	}
	gone := p.issue(t, "gone", "kept")
	freed := p.issue(t, "let-go", "dropped")
	p.exhaust(t, gone)
	p.exhaust(t, freed)
	awaitSeen(t, "kept", "throttled 0 exhausted 1 denied 1 shadow 0")
	awaitSeen(t, "dropped", "throttled 0 exhausted 1 denied 1 shadow 0")
	for _, object := range []client.Object{readKey(t, "gone"), &v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "dropped"}}} {
		if err := admin(t).Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	awaitSeen(t, "kept", "throttled 0 exhausted 0 denied 1 shadow 0")
	awaitExhausted(t, "let-go", "no")
}
