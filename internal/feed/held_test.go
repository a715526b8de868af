package feed

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
)

// allowed is an identity that may watch these of Claviger's kinds, and Secrets.
func (n *tenant) allowed(kinds ...string) string {
	n.Helper()
	utilruntime.Must(rbacv1.AddToScheme(admin.Scheme()))
	name := n.operator
	n.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: n.operator, Name: name}})
	verbs := []string{"get", "list", "watch"}
	n.create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: kinds, Verbs: verbs},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs},
	}})
	n.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: n.operator}},
	})
	return name
}

func TestAKindThatCannotBeListedHoldsBackNoRevocation(t *testing.T) {
	n := newTenant(t)
	revoked, deleted, hashless := n.another("revoked"), n.another("deleted"), n.another("hashless")
	later, changed := n.another("later"), n.another("changed")
	options := Options{SnapshotDir: t.TempDir()}
	first := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return first.Ready() == nil })
	first.end()
	// What happens while nobody looks.
	n.update(revoked.key, func() { revoked.key.Spec.State = v1alpha1.KeyRevoked })
	n.delete(deleted.key)
	n.delete(hashless.secret)
	created := n.another("created")

	config, err := plane.ServiceAccountConfig(n.operator, n.allowed("workspaces", "serviceaccounts", "apikeys"))
	if err != nil {
		t.Fatal(err)
	}
	second := n.start(config, options)
	eventually(t, "the revocation takes hold", revoked.is(second.index, policy.CodeKeyRevoked))
	eventually(t, "the deletion takes hold", deleted.is(second.index, policy.CodeKeyInvalid))
	eventually(t, "the hash that is gone takes hold", hashless.is(second.index, policy.CodeKeyInvalid))
	eventually(t, "it says what is missing", func() bool {
		return second.Ready() == nil && strings.HasSuffix(second.Note(), "; the API server has not listed keylimits")
	})
	// And while it looks.
	n.delete(later.key)
	eventually(t, "the watched deletion takes hold", later.is(second.index, policy.CodeKeyInvalid))
	if !changed.is(second.index, policy.CodeValid)() || !created.is(second.index, policy.CodeKeyInvalid)() {
		t.Error("what takes nothing away was not held back, or more was taken away")
	}
	n.update(n.workspace, func() { n.workspace.Spec.Suspended = true })
	eventually(t, "the suspension takes hold", changed.is(second.index, policy.CodeWorkspaceSuspended))

	role := &rbacv1.ClusterRole{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: n.operator}, role); err != nil {
		t.Fatal(err)
	}
	n.update(role, func() { role.Rules[0].Resources = append(role.Rules[0].Resources, "keylimits") })
	eventually(t, "it serves from the API server", func() bool { return second.live() && second.Note() == "" })
	n.update(n.workspace, func() { n.workspace.Spec.Suspended = false })
	eventually(t, "the new one works", created.is(second.index, policy.CodeValid))
	if !revoked.is(second.index, policy.CodeKeyRevoked)() || !deleted.is(second.index, policy.CodeKeyInvalid)() {
		t.Error("a key that was taken back works again")
	}
}
