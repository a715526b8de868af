package usage

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

func TestWhatAStatusTellsOfAKey(t *testing.T) {
	budget, at := int64(12), start.Add(700*time.Millisecond)
	usage := keyUsage(&usagefeed.Key{
		Period: usagefeed.Period{Start: start}, LastUsedAt: at, BudgetRemaining: &budget, BudgetResetAt: &at,
	}, &exhaustion{ExhaustedLimit: v1alpha1.ExhaustedLimit{Limit: "l", Reason: v1alpha1.ReasonBudgetExhausted, ResetAt: metav1.NewTime(start)}}, 1)
	if usage.Remaining != nil || usage.ResetAt != nil {
		t.Errorf("without a limit of requests it tells of %v until %v", usage.Remaining, usage.ResetAt)
	}
	if *usage.RemainingMicrocents != 12 || !usage.BudgetResetAt.Time.Equal(start) || !usage.LastUsedAt.Time.Equal(start) {
		t.Errorf("it tells %+v, want times to the second", usage)
	}
	if usage.Exhausted == nil || usage.Exhausted.Limit != "l" {
		t.Errorf("exhausted: %+v", usage.Exhausted)
	}
}

func TestLimitsAndBusyKeysTakeTurns(t *testing.T) {
	busyKey := change{lastShown: start.Add(-2 * time.Minute)}
	newKey := change{}
	busyLimit, newLimit := change{showing: true}, change{}
	if busyLimit.shown(start).Before(busyKey.shown(start)) {
		t.Error("a limit comes before a key whose status is older")
	}
	if !newKey.shown(start).Equal(newLimit.shown(start)) || !newLimit.shown(start).Before(busyKey.shown(start)) {
		t.Error("a limit without usage in its status must come first, as a key does")
	}
}

func TestOnlyAStatusThatShowedUsageCanLoseIt(t *testing.T) {
	key := func(uid types.UID, usage *v1alpha1.KeyUsage) *v1alpha1.ApiKey {
		return &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: v1alpha1.ApiKeyStatus{Usage: usage}}
	}
	limit := func(usage *v1alpha1.LimitUsage) *v1alpha1.KeyLimit {
		return &v1alpha1.KeyLimit{Status: v1alpha1.KeyLimitStatus{Usage: usage}}
	}
	tests := map[string]struct {
		before, after any
		want          bool
	}{
		"a key that loses it":      {key("a", &v1alpha1.KeyUsage{}), key("a", nil), true},
		"a key that had none":      {key("a", nil), key("a", nil), false},
		"a key that gets it":       {key("a", nil), key("a", &v1alpha1.KeyUsage{}), false},
		"another of the same name": {key("a", &v1alpha1.KeyUsage{}), key("b", nil), false},
		"a limit that loses it":    {limit(&v1alpha1.LimitUsage{}), limit(nil), true},
		"a limit that keeps it":    {limit(&v1alpha1.LimitUsage{}), limit(&v1alpha1.LimitUsage{Denied: 1}), false},
	}
	for name, test := range tests {
		if got := emptied(test.before, test.after); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
