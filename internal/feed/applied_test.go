package feed

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/internal/applied"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
)

// Each change is of a version, and whoever sees that version reached must find the change in effect.
func TestAReachedVersionIsInEffect(t *testing.T) {
	n := newTenant(t)
	x := keyindex.New()
	f := n.newFeed(plane.Config, x)
	if got := f.Applied(); len(got) != 0 {
		t.Errorf("before anything was listed, %v is applied", got)
	}
	run(t, f)
	reached := func(resource string, object client.Object) {
		t.Helper()
		eventually(t, "the version of "+resource+" is reached", func() bool {
			return applied.Report{Versions: f.Applied()}.Reached(resource, object.GetResourceVersion())
		})
	}
	reached("secrets", n.secret)
	reached("apikeys", n.key)
	reached("workspaces", n.workspace)
	if got := f.Applied(); len(got) > len(resources) {
		t.Errorf("%v is applied", got)
	}
	eventually(t, "all is listed", func() bool { return f.Ready() == nil && len(f.Applied()) == len(resources) })
	if !n.is(x, policy.CodeValid)() {
		t.Error("all is reached, and the key does not work")
	}
	for range 5 {
		other := n.another("k2")
		reached("apikeys", other.key)
		reached("secrets", other.secret)
		if !other.is(x, policy.CodeValid)() {
			t.Error("the versions of a new key are reached, and it does not work")
		}
		n.update(n.workspace, func() { n.workspace.Spec.Suspended = true })
		reached("workspaces", n.workspace)
		if !other.is(x, policy.CodeWorkspaceSuspended)() {
			t.Error("the version of the suspension is reached, and it does not hold")
		}
		n.update(n.workspace, func() { n.workspace.Spec.Suspended = false })
		reached("workspaces", n.workspace)
		n.delete(other.key)
		n.delete(other.secret)
		eventually(t, "the deletion takes hold", other.is(x, policy.CodeKeyInvalid))
	}
}
