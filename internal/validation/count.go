package validation

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Counts says whether a stored key counts towards maxKeys and maxActiveKeys: it is neither
// revoked nor expired. A disabled key counts, because it can be made active again.
func Counts(key *v1alpha1.ApiKey, now time.Time) bool {
	over := func(end *metav1.Time) bool { return end != nil && !end.After(now) }
	return key.Spec.State != v1alpha1.KeyRevoked && !over(key.Spec.ExpiresAt) && !over(key.Status.ExpiresAt)
}

// TooManyKeys says whether the key is one too many for its workspace or its account. ApiKey
// asks it too; it is apart for those who must tell this cause from others.
func TooManyKeys(key *v1alpha1.ApiKey, refs References, now time.Time) (errs field.ErrorList) {
	end := ApprovedEnd(key, refs.Workspace, refs.issuedAt(now))
	if key.Spec.State == v1alpha1.KeyRevoked || end != nil && !end.After(now) {
		return nil
	}
	path := field.NewPath("spec")
	if w := refs.Workspace; w != nil && w.Spec.Keys.MaxKeys != nil && refs.KeysInWorkspace >= int(*w.Spec.Keys.MaxKeys) {
		errs = append(errs, field.Forbidden(path.Child("workspaceRef"), fmt.Sprintf(
			"Workspace %q may have %s and has %d that are neither revoked nor expired: revoke or delete one, or raise its spec.keys.maxKeys",
			w.Name, keys(int(*w.Spec.Keys.MaxKeys)), refs.KeysInWorkspace)))
	}
	if a := refs.ServiceAccount; a != nil && refs.KeysOfAccount >= maxActiveKeys(a) {
		errs = append(errs, field.Forbidden(path.Child("serviceAccountRef"), fmt.Sprintf(
			"ServiceAccount %q may have %s and has %d that are neither revoked nor expired: revoke or delete one, or raise its spec.maxActiveKeys",
			a.Name, keys(maxActiveKeys(a)), refs.KeysOfAccount)))
	}
	return errs
}

// maxActiveKeys is 1 where nothing, not even the API server, has set it.
func maxActiveKeys(account *v1alpha1.ServiceAccount) int {
	return max(1, int(account.Spec.MaxActiveKeys))
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}
