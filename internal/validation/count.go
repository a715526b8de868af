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

// TooManyKeys says whether the key is one too many for its workspace, its account or its user. ApiKey
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
	if isPersonal(key.Spec.Entity) && refs.KeysOfUser >= 1 {
		errs = append(errs, field.Forbidden(path.Child("entity"), fmt.Sprintf(
			"user %q has a personal token in this workspace already, and may have one that is neither revoked nor expired: revoke or delete it, or renew it by the annotation %s",
			key.Spec.Entity.ID, v1alpha1.AnnotationRegenerate)))
	}
	return errs
}

// NoRoomForToken says whether an account that gets a token has as many other keys already as it may have.
// The keys are those for which Counts holds, without the token.
func NoRoomForToken(account *v1alpha1.ServiceAccount, keysOfAccount int) field.ErrorList {
	if account.Spec.Token == nil || keysOfAccount < maxActiveKeys(account) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "token"), fmt.Sprintf(
		"the token is one of the account's keys, of which there may be %d, and %d others are neither revoked nor expired: revoke or delete one, or raise spec.maxActiveKeys",
		maxActiveKeys(account), keysOfAccount))}
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
