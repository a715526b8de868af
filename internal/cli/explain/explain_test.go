package explain

import (
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }

const day = 24 * time.Hour

// working is the facts of a key that works, with changes.
func working(changes ...func(*Facts)) Facts {
	remaining := int64(96)
	f := Facts{
		Key: &v1alpha1.ApiKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "checkout", Generation: 2, Annotations: map[string]string{}},
			Spec: v1alpha1.ApiKeySpec{
				WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}, Scopes: []v1alpha1.Scope{"orders:read", "orders:create"},
				State: v1alpha1.KeyActive,
			},
			Status: v1alpha1.ApiKeyStatus{
				ObservedGeneration: 2, KeyID: "id", Hint: "ak_live_…x7Qz", State: v1alpha1.ReasonActive, KeyGeneration: 1,
				IssuedAt: in(-3 * day), ExpiresAt: in(87 * day), SecretName: "checkout",
				Usage: &v1alpha1.KeyUsage{
					Period: v1alpha1.UsagePeriod{UsageCounts: v1alpha1.UsageCounts{Requests: 1204, Denied: 3}}, LastUsedAt: in(-12 * time.Second), Remaining: &remaining,
				},
				Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReconciled}},
			},
		},
		Workspace: &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, WorkspaceFound: Present,
		Secret: Present,
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

func set(name, reason, message string, status metav1.ConditionStatus) func(*Facts) {
	return func(f *Facts) {
		all := f.Key.Status.Conditions[:0]
		for _, c := range f.Key.Status.Conditions {
			if c.Type != name {
				all = append(all, c)
			}
		}
		f.Key.Status.Conditions = append(all, metav1.Condition{Type: name, Status: status, Reason: reason, Message: message})
	}
}

func TestAKeyThatWorks(t *testing.T) {
	f := working(func(f *Facts) {
		f.Events = []eventsv1.Event{{EventTime: metav1.MicroTime{Time: now.Add(-time.Hour)}, Reason: "Issued", Note: "the key was made"}}
	})
	expect(t, f, `ApiKey team/checkout works.

What comes:
  - It expires in 87d (2027-02-22T12:00:00Z).

How it is:
  - The key is ak_live_…x7Qz, issued 3d ago (2026-11-24T12:00:00Z).
  - It is in Secret checkout, under the data key api-key.
  - It may orders:read, orders:create.
  - It was last used 12s ago (2026-11-27T11:59:48Z); in this billing period 1204 of its requests were allowed and 3 denied.
  - Its tightest limit had 96 requests left when it was last used.

What was told of it lately:
  - 60m ago, Issued: the key was made
`)
}

func TestARevokedKey(t *testing.T) {
	f := working(func(f *Facts) {
		f.Key.Spec.State = v1alpha1.KeyRevoked
		f.Key.Status.State = v1alpha1.ReasonRevoked
		f.Key.Status.Revocation = &v1alpha1.Revocation{RequestedAt: in(-10 * time.Second), PropagatedAt: in(-9 * time.Second), Verifiers: 3, Reason: "Leaked: in a log"}
		f.Key.Status.Usage = nil
		f.Hidden = []string{"get secrets in namespace team"}
	})
	expect(t, f, `ApiKey team/checkout does not work, and never will: it is revoked.

  - It was revoked, for the reason "Leaked: in a log". All 3 verifiers that there were had heard of it 1s after the operator had. That is final: create another ApiKey, or delete this one and apply it again.

How it is:
  - The key is ak_live_…x7Qz, issued 3d ago (2026-11-24T12:00:00Z).
  - It is in Secret checkout, under the data key api-key.
  - It may orders:read, orders:create.
  - As far as the operator has heard, nobody has used it yet.

What could not be looked at:
  - get secrets in namespace team
`)
}

func expect(t *testing.T, f Facts, want string) {
	t.Helper()
	var got strings.Builder
	if err := Key(f, now).Print(&got); err != nil || got.String() != want {
		t.Errorf("got, %v\n%s\nnot\n%s", err, got.String(), want)
	}
}

func TestWhyAKeyDoesNotWork(t *testing.T) {
	account := func(suspended bool) func(*Facts) {
		return func(f *Facts) {
			f.Key.Spec.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
			f.Account, f.AccountFound = &v1alpha1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, Present
			f.Account.Spec.Suspended = suspended
		}
	}
	for _, c := range []struct {
		name, verdict string
		facts         Facts
		first         string // of the reasons
		count         int
	}{
		{"expired", "does not work now", working(func(f *Facts) { f.Key.Status.ExpiresAt = in(-day) }), "It expired 24h ago", 1},
		{"disabled", "does not work now", working(func(f *Facts) { f.Key.Spec.State = v1alpha1.KeyDisabled }), "It is disabled", 1},
		{"its workspace is missing", "does not work now", working(func(f *Facts) { f.Workspace, f.WorkspaceFound = nil, Missing },
			set("Ready", v1alpha1.ReasonWorkspaceNotFound, "no shop", metav1.ConditionFalse)), "Its Workspace shop does not exist in namespace team", 1},
		{"its workspace is suspended", "does not work now", working(func(f *Facts) { f.Workspace.Spec.Suspended = true }), "Its Workspace shop is suspended", 1},
		{"its account is suspended", "does not work now", working(account(true)), "Its ServiceAccount robot is suspended", 1},
		{"its account works", "works.", working(account(false)), "", 0},
		{"its account is missing", "does not work now", working(account(false), func(f *Facts) { f.Account, f.AccountFound = nil, Missing }), "Its ServiceAccount robot (of keys.claviger.dev) does not exist", 1},
		{"a limit is missing", "works, but", working(func(f *Facts) { f.Limits = map[string]*v1alpha1.KeyLimit{"standard": nil, "other": {}} }), "It refers to KeyLimit standard, which does not exist", 1},
		{"the operator refuses", "has no key yet", working(func(f *Facts) {
			f.Key.Status = v1alpha1.ApiKeyStatus{ObservedGeneration: 2, State: v1alpha1.ReasonPending}
		}, set("Ready", v1alpha1.ReasonTooManyKeys, "there are 5 of 5", metav1.ConditionFalse), set("Stalled", v1alpha1.ReasonTooManyKeys, "", metav1.ConditionTrue)),
			"The operator says TooManyKeys: there are 5 of 5. It stays so until somebody changes something.", 1},
		{"nobody has looked at it", "has no key yet", working(func(f *Facts) { f.Key.Status = v1alpha1.ApiKeyStatus{} }), "The operator has not looked at it yet", 1},
		{"the change was not seen", "works, but", working(func(f *Facts) { f.Key.Generation = 3 }), "The operator has not seen the latest change", 1},
		{"its quota is used up", "works, but", working(func(f *Facts) {
			f.Key.Status.Usage.Exhausted = &v1alpha1.ExhaustedLimit{Limit: "monthly", Reason: v1alpha1.ReasonQuotaExhausted, ResetAt: *in(day)}
		}), "KeyLimit monthly is used up (QuotaExhausted): requests are refused until it resets in 24h", 1},
		{"a quota that was used up before", "works.", working(func(f *Facts) {
			f.Key.Status.Usage.Exhausted = &v1alpha1.ExhaustedLimit{Limit: "monthly", Reason: v1alpha1.ReasonQuotaExhausted, ResetAt: *in(-day)}
		}), "", 0},
		{"its Secret is gone", "works, but", working(func(f *Facts) { f.Secret = Missing }), "Its Secret checkout is gone", 1},
		{"whether its Secret is there is not known", "works.", working(func(f *Facts) { f.Secret = Unknown }), "", 0},
		{"expired, disabled and suspended", "does not work now", working(func(f *Facts) {
			f.Key.Status.ExpiresAt, f.Key.Spec.State, f.Workspace.Spec.Suspended = in(-day), v1alpha1.KeyDisabled, true
		}), "It expired", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Key(c.facts, now)
			if !strings.Contains(e.Verdict, c.verdict) {
				t.Errorf("the verdict is %q", e.Verdict)
			}
			if len(e.Reasons) != c.count || c.count > 0 && !strings.HasPrefix(e.Reasons[0], c.first) {
				t.Errorf("the reasons are %q", e.Reasons)
			}
		})
	}
}

func TestWhatComes(t *testing.T) {
	f := working(func(f *Facts) {
		f.Key.Status.Rotation = &v1alpha1.RotationStatus{NextAt: in(20 * day), Previous: &v1alpha1.PreviousKey{Hint: "ak_live_…old1", EndsAt: in(time.Hour)}}
	}, set(v1alpha1.ConditionPreviousKeyInUse, "InUse", "it was used 3s ago", metav1.ConditionTrue), set(v1alpha1.ConditionNearExpiry, "Near", "", metav1.ConditionTrue),
		set(v1alpha1.ConditionUnused, "Unused", "", metav1.ConditionTrue))
	got := Key(f, now).Soon
	for i, want := range []string{"Somebody still uses the replaced key. it was used 3s ago.", "The replaced key ak_live_…old1 works still; it ends in 60m", "It is rotated in 20d", "It expires in 87d (2027-02-22T12:00:00Z). That is near", "Nobody has used it"} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("%d: %q, not %q", i, got, want)
		}
	}
}
