package gitops_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// While nothing happens the operator writes nothing, whatever state its objects are in.
//
// The operator's time is the test's, but controller-runtime's queue, which decides when to look again, has real time. So no
// timer is waited for: the caches show all objects again every second or so, all two minutes of the operator's time once at least, and whatever a
// timer could have led to comes of that look, or of an earlier one.
func TestTenIdleMinutesTakeNoWrite(t *testing.T) {
	own, team := newNamespace(t, "operator"), newNamespace(t, "team")
	now := clocktesting.NewFakePassiveClock(time.Now())
	resync := time.Second // client-go allows no less
	o := start(t, now, &resync, own, team)
	apply(t, team, "gitops", manifests)
	await(t, team, "ApiKey", "expired", "Reconciled", "Active")
	now.SetTime(now.Now().Add(5 * time.Second))
	settle(t, team)
	o.quiet(t)

	before, secrets, writes := versions(t, team), secretVersions(t, own, team), len(o.written())
	for range 5 {
		now.SetTime(now.Now().Add(2 * time.Minute))
		lookedAtAll(t)
	}
	if after := o.written(); len(after) != writes {
		t.Errorf("in ten idle minutes the operator wrote %q", after[writes:])
	}
	same(t, "an idle operator", before, versions(t, team))
	same(t, "an idle operator", secrets, secretVersions(t, own, team))
}

func secretVersions(t *testing.T, namespaces ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, namespace := range namespaces {
		var list corev1.SecretList
		if err := admin.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			found[namespace+"/"+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
	}
	return found
}

// lookedAtAll waits until every controller has reconciled twice as often as it has objects: of what comes of two looks at
// everything, the first may have begun before.
func lookedAtAll(t *testing.T) {
	t.Helper()
	objects := map[string]float64{}
	for _, s := range settled {
		objects[map[string]string{"Workspace": "workspace", "ApiKey": "apikey", "ServiceAccount": "serviceaccount", "KeyLimit": "keylimit"}[s.kind]]++
	}
	began := reconciled(t)
	eventually(t, func() string {
		done := reconciled(t)
		for controller, count := range objects {
			if done[controller]-began[controller] < 2*count {
				return fmt.Sprintf("the controller %s has not looked at its %.0f objects twice", controller, count)
			}
		}
		return ""
	})
}

// reconciled is how often each controller has reconciled something.
func reconciled(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" {
					counts[label.GetValue()] += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return counts
}
