package gitops_test

import (
	_ "embed" // the manifests
	"fmt"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

//go:embed testdata/objects.yaml
var manifests string

// tooMany is applied when the one place is taken.
const tooMany = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: second}
spec: {workspaceRef: {name: full}}
`

// settled are those objects, with the reasons by which it is seen that the operator has done with them, and what
// the tools then make of them.
var settled = []struct {
	kind, name    string
	ready, active string
	kstatus       status.Status
	argo          string
}{
	{"Workspace", "shop", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"Workspace", "closed", "Reconciled", "Suspended", status.CurrentStatus, suspended},
	{"Workspace", "full", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"Workspace", "unlimited", "KeyLimitNotFound", "Active", status.InProgressStatus, progressing},
	{"ServiceAccount", "robot", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ServiceAccount", "idle", "Reconciled", "Suspended", status.CurrentStatus, suspended},
	{"ServiceAccount", "early", "WorkspaceNotFound", "WorkspaceNotFound", status.InProgressStatus, progressing},
	{"KeyLimit", "standard", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"KeyLimit", "off", "Reconciled", "Disabled", status.CurrentStatus, suspended},
	{"ApiKey", "plain", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ApiKey", "limited", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ApiKey", "rotating", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ApiKey", "ending", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ApiKey", "expired", "Reconciled", "Expired", status.CurrentStatus, healthy},
	{"ApiKey", "revoked", "Reconciled", "Revoked", status.CurrentStatus, healthy},
	{"ApiKey", "disabled", "Reconciled", "Disabled", status.CurrentStatus, suspended},
	{"ApiKey", "locked", "Reconciled", "WorkspaceSuspended", status.CurrentStatus, suspended},
	{"ApiKey", "idle", "Reconciled", "ServiceAccountSuspended", status.CurrentStatus, suspended},
	{"ApiKey", "waiting", "WorkspaceNotFound", "Pending", status.InProgressStatus, progressing},
	{"ApiKey", "first", "Reconciled", "Active", status.CurrentStatus, healthy},
	{"ApiKey", "second", "TooManyKeys", "Pending", status.InProgressStatus, progressing},
	{"ApiKey", "forbidden", "InvalidSpec", "Pending", status.FailedStatus, degraded},
	{"ApiKey", "conflicting", "SecretConflict", "Pending", status.FailedStatus, degraded},
}

// settle applies the manifests and waits until the operator has done with all of them.
func settle(t *testing.T, namespace string) {
	t.Helper()
	apply(t, namespace, "gitops", manifests)
	await(t, namespace, "ApiKey", "first", "Reconciled", "Active")
	apply(t, namespace, "gitops", tooMany)
	for _, s := range settled {
		await(t, namespace, s.kind, s.name, s.ready, s.active)
	}
}

func await(t *testing.T, namespace, kind, name, ready, active string) {
	t.Helper()
	eventually(t, func() string {
		o := get(t, namespace, kind, name)
		is, works := conditionOf(t, o, v1alpha1.ConditionReady), conditionOf(t, o, v1alpha1.ConditionActive)
		if is.Reason != ready || works.Reason != active {
			return fmt.Sprintf("%s %s is %q and %q, want %q and %q", kind, name, is.Reason, works.Reason, ready, active)
		}
		return ""
	})
}

func TestTheToolsAreToldTheTruthAboutRealObjects(t *testing.T) {
	own, team := newNamespace(t, "operator"), newNamespace(t, "team")
	// Before any operator is there.
	apply(t, team, "gitops", manifests+"---"+tooMany)
	for _, s := range settled {
		v := judge(t, get(t, team, s.kind, s.name))
		if v.kstatus != status.InProgressStatus || v.flux != status.InProgressStatus || v.argo != progressing {
			t.Errorf("%s %s, just applied: %+v", s.kind, s.name, v)
		}
	}
	if out, err := plane.RunKubectl(t.Context(), nil, "delete", "-n", team, "apikey", "second"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	start(t, clock.RealClock{}, nil, own, team)
	settle(t, team)
	for _, s := range settled {
		v := judge(t, get(t, team, s.kind, s.name))
		if v.kstatus != s.kstatus || v.flux != s.kstatus || v.argo != s.argo {
			t.Errorf("%s %s: %+v, want %s and %s", s.kind, s.name, v, s.kstatus, s.argo)
		}
	}
	if ending := get(t, team, "ApiKey", "ending"); conditionOf(t, ending, v1alpha1.ConditionNearExpiry).Status != "True" {
		t.Error("the key that ends today is not near its end, so the table lacks one")
	}
}

// A changed spec is in progress until the operator has seen it, and a corrected one does not stay failed.
func TestTheToolsFollowAChange(t *testing.T) {
	own, team := newNamespace(t, "operator"), newNamespace(t, "team")
	const workspace = "apiVersion: keys.claviger.dev/v1alpha1\nkind: Workspace\nmetadata: {name: shop}\nspec: {scopes: [{name: read}]}\n---\n"
	const key = "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: it}\nspec: {workspaceRef: {name: shop}, scopes: [%s]}\n"
	apply(t, team, "gitops", workspace+fmt.Sprintf(key, "write"))
	o := start(t, clock.RealClock{}, nil, own, team)
	await(t, team, "ApiKey", "it", "InvalidSpec", "Pending")
	failed := get(t, team, "ApiKey", "it")
	if v := judge(t, failed); v.kstatus != status.FailedStatus {
		t.Errorf("a key with a scope that is not in the catalogue: %+v", v)
	}
	apply(t, team, "gitops", workspace+fmt.Sprintf(key, "read"))
	// Between the two, whoever looks sees this.
	changed := failed.DeepCopy()
	changed.SetGeneration(failed.GetGeneration() + 1)
	if v := judge(t, changed); v.kstatus != status.InProgressStatus || v.flux != status.InProgressStatus || v.argo != progressing {
		t.Errorf("a corrected key that the operator has not seen: %+v", v)
	}
	await(t, team, "ApiKey", "it", "Reconciled", "Active")
	o.quiet(t)
	if v := judge(t, get(t, team, "ApiKey", "it")); v.kstatus != status.CurrentStatus || v.flux != status.CurrentStatus || v.argo != healthy {
		t.Errorf("a corrected key: %+v", v)
	}
}
