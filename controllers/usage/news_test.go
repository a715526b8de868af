package usage

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	workspace := func(usage *v1alpha1.GroupUsage) *v1alpha1.Workspace {
		return &v1alpha1.Workspace{Status: v1alpha1.WorkspaceStatus{Usage: usage}}
	}
	account := func(usage *v1alpha1.GroupUsage) *v1alpha1.ServiceAccount {
		return &v1alpha1.ServiceAccount{Status: v1alpha1.ServiceAccountStatus{Usage: usage}}
	}
	tests := map[string]struct {
		before, after any
		want          bool
	}{
		"a workspace that loses it": {workspace(&v1alpha1.GroupUsage{}), workspace(nil), true},
		"a workspace that keeps it": {workspace(&v1alpha1.GroupUsage{}), workspace(&v1alpha1.GroupUsage{}), false},
		"an account that loses it":  {account(&v1alpha1.GroupUsage{}), account(nil), true},
		"an account that had none":  {account(nil), account(nil), false},
		"a key that loses it":       {key("a", &v1alpha1.KeyUsage{}), key("a", nil), true},
		"a key that had none":       {key("a", nil), key("a", nil), false},
		"a key that gets it":        {key("a", nil), key("a", &v1alpha1.KeyUsage{}), false},
		"another of the same name":  {key("a", &v1alpha1.KeyUsage{}), key("b", nil), false},
		"a limit that loses it":     {limit(&v1alpha1.LimitUsage{}), limit(nil), true},
		"a limit that keeps it":     {limit(&v1alpha1.LimitUsage{}), limit(&v1alpha1.LimitUsage{Denied: 1}), false},
	}
	for name, test := range tests {
		if got := emptied(test.before, test.after); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestWhatAStatusTellsOfAGroup(t *testing.T) {
	counts := usagefeed.Counts{Requests: 5, Denied: 1, Succeeded: 3, Failed: 1, SpendMicrocents: 40}
	group := func(kind, name string) news {
		return ofGroup{usagefeed.Group{
			Kind: kind, Name: name, Total: counts, LastUsedAt: start.Add(time.Millisecond),
			Period: usagefeed.Period{Start: start.Add(-time.Hour), Counts: usagefeed.Counts{Requests: 2}},
		}}
	}
	c := newCluster(t, nil, nil)
	shown := &v1alpha1.GroupUsage{LastUsedAt: &metav1.Time{Time: start.Add(-time.Hour)}}
	for _, object := range []client.Object{
		&v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}, Status: v1alpha1.WorkspaceStatus{Usage: shown}},
		&v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "robot"}},
	} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	for kind, name := range map[string]string{usagefeed.KindWorkspace: "team/shop", usagefeed.KindServiceAccount: "team/robot"} {
		got, err := group(kind, name).change(t.Context(), statuses{client: c})
		if err != nil || got.object == nil || client.ObjectKeyFromObject(got.object).String() != name {
			t.Fatalf("of %s is found %v (%v)", kind, got.object, err)
		}
		want := &v1alpha1.GroupUsage{
			Period:     v1alpha1.UsagePeriod{Start: &metav1.Time{Time: start.Add(-time.Hour)}, UsageCounts: v1alpha1.UsageCounts{Requests: 2}},
			Total:      v1alpha1.UsageCounts{Requests: 5, Denied: 1, Succeeded: 3, Failed: 1, SpendMicrocents: 40},
			LastUsedAt: &metav1.Time{Time: start},
		}
		if !reflect.DeepEqual(got.usage, want) {
			t.Errorf("%s is to show %+v, want %+v", kind, got.usage, want)
		}
		if wasShown := kind == usagefeed.KindWorkspace; got.lastShown.IsZero() == wasShown {
			t.Errorf("the status of %s is as old as %v", kind, got.lastShown)
		}
	}
	for _, gone := range []news{
		group(usagefeed.KindWorkspace, "team/robot"), group(usagefeed.KindServiceAccount, "other/robot"),
		group("Team", "team/shop"), group(usagefeed.KindWorkspace, "shop"),
	} {
		if got, err := gone.change(t.Context(), statuses{client: c}); err != nil || got.object != nil {
			t.Errorf("of %s is found %v (%v)", gone.id(), got.object, err)
		}
	}
}

func TestAGroupWhoseStatusShowsAllIsNotWritten(t *testing.T) {
	c := newCluster(t, nil, nil)
	group := usagefeed.Group{Kind: usagefeed.KindWorkspace, Name: "team/shop", Period: usagefeed.Period{Start: start}}
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	workspace.Status.Usage = groupUsage(&group)
	if workspace.Status.Usage.LastUsedAt != nil {
		t.Errorf("what was never used was so at %v", workspace.Status.Usage.LastUsedAt)
	}
	if err := c.Create(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	if got, err := (ofGroup{group}).change(t.Context(), statuses{client: c}); err != nil || got.usage != nil {
		t.Errorf("it is to show %+v (%v)", got.usage, err)
	}
}
