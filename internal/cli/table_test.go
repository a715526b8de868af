package cli

import (
	"bytes"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func in(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }

const day = 24 * time.Hour

func someKeys() []v1alpha1.ApiKey {
	remaining := int64(96)
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "team", Name: name, CreationTimestamp: *in(-3 * day)}
	}
	shop := v1alpha1.LocalReference{Name: "shop"}
	return []v1alpha1.ApiKey{
		{ObjectMeta: named("checkout"),
			Spec: v1alpha1.ApiKeySpec{WorkspaceRef: shop, DisplayName: "Checkout", Scopes: []v1alpha1.Scope{"a:b", "c:d", "e:f", "g:h", "i:j"}},
			Status: v1alpha1.ApiKeyStatus{State: "Active", Hint: "ak_live_…x7Qz", ExpiresAt: in(87 * day), KeyGeneration: 2,
				Rotation: &v1alpha1.RotationStatus{NextAt: in(20 * day)},
				Usage:    &v1alpha1.KeyUsage{LastUsedAt: in(-12 * time.Second), Remaining: &remaining, Period: v1alpha1.UsagePeriod{UsageCounts: v1alpha1.UsageCounts{Requests: 1204}}}}},
		{ObjectMeta: named("over"),
			Spec: v1alpha1.ApiKeySpec{WorkspaceRef: shop, ServiceAccountRef: &v1alpha1.LocalReference{Name: "robot"}, Entity: &v1alpha1.Entity{Kind: "Agent", ID: "a-1"},
				Grants: []v1alpha1.Grant{{Resource: "p/1"}, {Resource: "p/2"}}, Delivery: v1alpha1.Delivery{Type: v1alpha1.DeliverySealed}},
			Status: v1alpha1.ApiKeyStatus{State: "Expired", Hint: "ak_live_…aaaa", ExpiresAt: in(-day), KeyGeneration: 1}},
		{ObjectMeta: named("revoked"), Spec: v1alpha1.ApiKeySpec{WorkspaceRef: shop, State: v1alpha1.KeyRevoked, Scopes: []v1alpha1.Scope{"a:b"}, Source: &v1alpha1.Source{}},
			Status: v1alpha1.ApiKeyStatus{State: "Active", Hint: "ak_live_…bbbb"}},
		{ObjectMeta: named("new"), Spec: v1alpha1.ApiKeySpec{WorkspaceRef: shop}},
	}
}

func TestTheTableOfKeys(t *testing.T) {
	for _, c := range []struct {
		wide bool
		want string
	}{
		{false, `NAME       WORKSPACE   STATE     HINT              SCOPES           EXPIRES   LAST USED   USED
checkout   shop        Active    ak_live_…x7Qz     a:b,c:d,e:f,+2   in 87d    12s ago     1204
over       shop        Expired   ak_live_…aaaa     +2 grants        24h ago   never       0
revoked    shop        Revoked   ak_live_…bbbb     a:b              never     never       0
new        shop        Pending   <none>            <none>           never     never       0
`},
		{true, `NAME       WORKSPACE   STATE     HINT              SCOPES           EXPIRES   LAST USED   USED   REMAINING   DELIVERY          KEYS   ROTATES   ACCOUNT   ENTITY      DISPLAY NAME   AGE
checkout   shop        Active    ak_live_…x7Qz     a:b,c:d,e:f,+2   in 87d    12s ago     1204   96          Secret/checkout   2      in 20d    <none>    <none>      Checkout       3d
over       shop        Expired   ak_live_…aaaa     +2 grants        24h ago   never       0      <none>      Sealed            1      never     robot     Agent/a-1   <none>         3d
revoked    shop        Revoked   ak_live_…bbbb     a:b              never     never       0      <none>      Source            0      never     <none>    <none>      <none>         3d
new        shop        Pending   <none>            <none>           never     never       0      <none>      Secret/new        0      never     <none>    <none>      <none>         3d
`},
	} {
		var got bytes.Buffer
		err := printers.NewTablePrinter(printers.PrintOptions{Wide: c.wide}).PrintObj(keyTable(someKeys(), now, c.wide), &got)
		if err != nil || got.String() != c.want {
			t.Errorf("got, %v\n%s", err, got.String())
		}
	}
}

func TestTheUsageOfAKey(t *testing.T) {
	keys := someKeys()
	keys[0].Status.Usage.Period.Start = in(-26 * day)
	keys[0].Status.Usage.ResetAt = in(time.Minute)
	keys[0].Status.Usage.Exhausted = &v1alpha1.ExhaustedLimit{Limit: "monthly", Reason: v1alpha1.ReasonQuotaExhausted, ResetAt: *in(day)}
	keys[0].Status.Usage.Total = v1alpha1.UsageCounts{Requests: 2000, Denied: 3, Succeeded: 1990, SpendMicrocents: 5300}
	const want = `This period   1204 allowed, 0 denied, since 2026-11-01T12:00:00Z
In total      2000 allowed, 3 denied; 1990 succeeded, 0 failed; 5300 microcents
Remaining     96 requests of the tightest limit, at the last use; whole again at 2026-11-27T12:01:00Z
Used up       KeyLimit monthly (QuotaExhausted), until 2026-11-28T12:00:00Z
Last used     12s ago
`
	var got bytes.Buffer
	if err := printUsage(&got, &keys[0], now); err != nil || got.String() != want {
		t.Errorf("got, %v\n%s", err, got.String())
	}
}

func TestTheUsageOfAllKeysTogether(t *testing.T) {
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	usage := &v1alpha1.GroupUsage{LastUsedAt: in(-time.Minute)}
	usage.Period.Start = &metav1.Time{Time: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)}
	usage.Period.UsageCounts = v1alpha1.UsageCounts{Requests: 7, Failed: 1}
	for want, u := range map[string]*v1alpha1.GroupUsage{
		"Nothing has been counted for Workspace team/shop yet.\n": nil,
		"This period   7 allowed, 0 denied; 0 succeeded, 1 failed, since 2026-11-01\n" +
			"In total      0 allowed, 0 denied\nLast used     60s ago\n": usage,
		"This period   0 allowed, 0 denied\nIn total      0 allowed, 0 denied\nLast used     never\n": {},
	} {
		var got bytes.Buffer
		if err := printGroupUsage(&got, "Workspace", workspace, u, now); err != nil || got.String() != want {
			t.Errorf("got, %v\n%s", err, got.String())
		}
	}
}

func TestTheUsageOfEachKeyOfAWorkspace(t *testing.T) {
	const want = `█▁▁▁  1204 requests allowed in this period, by 4 keys

checkout  1204  12s ago  ██████████████████████████████
new       0     never    
over      0     never    
revoked   0     never    
`
	var got bytes.Buffer
	if err := printWorkspaceUsage(&got, someKeys(), now); err != nil || got.String() != want {
		t.Errorf("got, %v\n%q", err, got.String())
	}
}
