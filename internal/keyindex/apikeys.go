package keyindex

import (
	"cmp"
	"iter"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
)

// apiKey is an ApiKey with all that was ever issued for it. Its object is nil while only
// credentials speak of it: before it arrives, and after it is deleted.
type apiKey struct {
	object      *v1alpha1.ApiKey
	workspace   *workspace
	account     *account // nil where it names none
	credentials []*credential.Credential
}

func (k *apiKey) dependents() iter.Seq[*apiKey] {
	return func(yield func(*apiKey) bool) { yield(k) }
}

// SetApiKey takes note of an ApiKey, new or changed. The index keeps the object, which must
// not be changed afterwards.
func (x *Index) SetApiKey(object *v1alpha1.ApiKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	if known := x.keys[name]; known != nil {
		if known.object.UID == object.UID {
			x.updateApiKey(known, object)
			return
		}
		// Deleted and made again while nobody looked: not the same key.
		x.deleteApiKey(name)
	}
	k := x.apiKey(object.UID)
	x.keys[name] = k
	x.counts.ApiKeys++
	x.declareApiKey(k, object)
}

// DeleteApiKey takes note that an ApiKey is gone. Its hashes grant nothing from then on.
func (x *Index) DeleteApiKey(name types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deleteApiKey(name)
}

func (x *Index) updateApiKey(k *apiKey, object *v1alpha1.ApiKey) {
	if equality.Semantic.DeepEqual(k.object.Spec, object.Spec) {
		k.object = object // or the old one would be kept in memory beside the feed's
		return
	}
	x.declareApiKey(k, object)
}

func (x *Index) declareApiKey(k *apiKey, object *v1alpha1.ApiKey) {
	before := k.references()
	k.object = object
	x.link(k, before, k.references())
	x.publishKey(k, &memo{})
}

func (x *Index) deleteApiKey(name types.NamespacedName) {
	k := x.keys[name]
	if k == nil {
		return
	}
	delete(x.keys, name)
	x.counts.ApiKeys--
	uid, before := k.object.UID, k.references()
	k.object = nil
	x.publishKey(k, &memo{})
	x.link(k, before, references{})
	x.buckets.ForgetSubject(uid)
	x.releaseApiKey(uid)
}

// apiKey finds the ApiKey of a UID, or makes room for it.
func (x *Index) apiKey(uid types.UID) *apiKey {
	k := x.byUID[uid]
	if k == nil {
		k = &apiKey{}
		x.byUID[uid] = k
	}
	return k
}

func (x *Index) releaseApiKey(uid types.UID) {
	if k := x.byUID[uid]; k != nil && k.object == nil && len(k.credentials) == 0 {
		delete(x.byUID, uid)
	}
}

// references is what an ApiKey names; empty while it is not declared.
type references struct {
	namespace, workspace, account string
	limits                        []v1alpha1.LocalReference
}

func (k *apiKey) references() references {
	if k.object == nil {
		return references{}
	}
	r := references{
		namespace: k.object.Namespace,
		workspace: k.object.Spec.WorkspaceRef.Name,
		limits:    k.object.Spec.LimitRefs,
	}
	if k.object.Spec.ServiceAccountRef != nil {
		r.account = k.object.Spec.ServiceAccountRef.Name
	}
	return r
}

// link moves a key to what it names now.
func (x *Index) link(k *apiKey, before, after references) {
	workspaceBefore, accountBefore := k.workspace, k.account
	k.workspace, k.account = nil, nil
	if after.workspace != "" {
		k.workspace = x.workspace(types.NamespacedName{Namespace: after.namespace, Name: after.workspace})
		k.workspace.join(k)
	}
	if after.account != "" {
		k.account = x.account(types.NamespacedName{Namespace: after.namespace, Name: after.account})
		k.account.join(k)
	}
	if workspaceBefore != nil && workspaceBefore != k.workspace {
		workspaceBefore.leave(k)
		x.releaseWorkspace(types.NamespacedName{Namespace: before.namespace, Name: before.workspace})
	}
	if accountBefore != nil && accountBefore != k.account {
		accountBefore.leave(k)
		x.releaseAccount(types.NamespacedName{Namespace: before.namespace, Name: before.account})
	}
	x.refer(k, cmp.Or(after.namespace, before.namespace), before.limits, after.limits)
}
