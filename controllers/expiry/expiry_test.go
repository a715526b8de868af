package expiry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// cache holds these objects.
type cache struct {
	client.Reader
	workspaces []v1alpha1.Workspace
	keys       []v1alpha1.ApiKey
	err        error
}

func (c *cache) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.WorkspaceList:
		l.Items = c.workspaces
	case *v1alpha1.ApiKeyList:
		l.Items = c.keys
	}
	return c.err
}

func key(workspace string, left time.Duration, with ...func(*v1alpha1.ApiKeyStatus)) v1alpha1.ApiKey {
	k := v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "key"}}
	k.Spec.WorkspaceRef.Name = workspace
	k.Status.State = v1alpha1.ReasonActive
	if left != 0 {
		k.Status.ExpiresAt = &metav1.Time{Time: now.Add(left)}
	}
	for _, set := range with {
		set(&k.Status)
	}
	return k
}

const day = 24 * time.Hour

func TestKeysAreCountedByHowSoonTheyEnd(t *testing.T) {
	shop, bank := v1alpha1.Workspace{}, v1alpha1.Workspace{}
	shop.Namespace, shop.Name, bank.Namespace, bank.Name = "team", "shop", "team", "bank"
	bank.Spec.Keys.ExpiryWarnings = []v1alpha1.WarningTime{"90m"}
	rotated := func(s *v1alpha1.ApiKeyStatus) {
		s.Rotation = &v1alpha1.RotationStatus{NextAt: &metav1.Time{Time: now.Add(time.Minute)}}
	}
	c := &cache{workspaces: []v1alpha1.Workspace{shop, bank}, keys: []v1alpha1.ApiKey{
		key("shop", 0), key("shop", 15*day), key("shop", 14*day), key("shop", time.Hour), key("shop", -time.Hour), key("shop", time.Hour, rotated),
		key("shop", time.Hour, func(s *v1alpha1.ApiKeyStatus) { s.State = v1alpha1.ReasonRevoked }),
		key("shop", 0, func(s *v1alpha1.ApiKeyStatus) {
			s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionUnused, Status: metav1.ConditionTrue}}
		}),
		key("bank", time.Hour), key("nowhere", time.Hour),
	}}
	leads := make(chan struct{})
	collector := &Collector{Cached: c, Clock: clocktesting.NewFakePassiveClock(now), Leads: leads}
	if n := testutil.CollectAndCount(collector); n != 0 {
		t.Errorf("one that does not lead tells %d series", n)
	}
	close(leads)
	err := testutil.CollectAndCompare(collector, strings.NewReader(`
# HELP claviger_keys_expiring Active keys that end within a time, of those that their workspace warns at, and are not rotated before.
# TYPE claviger_keys_expiring gauge
claviger_keys_expiring{namespace="team",within="1h30m0s",workspace="bank"} 1
claviger_keys_expiring{namespace="team",within="24h",workspace="shop"} 1
claviger_keys_expiring{namespace="team",within="336h",workspace="shop"} 2
# HELP claviger_keys_unused Active keys that nobody has used for as long as their workspace asks about.
# TYPE claviger_keys_unused gauge
claviger_keys_unused{namespace="team",workspace="bank"} 0
claviger_keys_unused{namespace="team",workspace="shop"} 1
`))
	if err != nil {
		t.Error(err)
	}
}

func TestACacheThatCannotBeReadIsAnErrorOfTheScrape(t *testing.T) {
	leads := make(chan struct{})
	close(leads)
	registry := prometheus.NewRegistry()
	registry.MustRegister(&Collector{Cached: &cache{err: errors.New("not synced")}, Clock: clocktesting.NewFakePassiveClock(now), Leads: leads})
	if _, err := registry.Gather(); err == nil {
		t.Error("nothing is told of it")
	}
}
