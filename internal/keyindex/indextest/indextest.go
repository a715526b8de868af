// Package indextest builds indexes for tests: declared objects and real keys, without
// a cluster.
package indextest

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/token"
)

// Namespace is where all objects are.
const Namespace = "tenant"

// Workspace is the name of the workspace that an index begins with.
const Workspace = "shop"

// IssuedAt is when every key was issued.
var IssuedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// New makes an index with one Workspace.
func New() *keyindex.Index {
	x := keyindex.New()
	SetWorkspace(x, Workspace)
	return x
}

// Meta is the metadata of an object: its UID follows from its kind and name.
func Meta(kind, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: UID(kind, name)}
}

// UID is the UID of an object.
func UID(kind, name string) types.UID {
	return types.UID(keyid.Derive(kind + "/" + name).String())
}

// Refs makes references.
func Refs(names ...string) []v1alpha1.LocalReference {
	var refs []v1alpha1.LocalReference
	for _, name := range names {
		refs = append(refs, v1alpha1.LocalReference{Name: name})
	}
	return refs
}

// SetWorkspace declares a Workspace.
func SetWorkspace(x *keyindex.Index, name string, edits ...func(*v1alpha1.WorkspaceSpec)) {
	w := &v1alpha1.Workspace{ObjectMeta: Meta("workspace", name)}
	for _, edit := range edits {
		edit(&w.Spec)
	}
	x.SetWorkspace(w)
}

// SetAccount declares a ServiceAccount of the workspace an index begins with.
func SetAccount(x *keyindex.Index, name string, edits ...func(*v1alpha1.ServiceAccountSpec)) {
	a := &v1alpha1.ServiceAccount{ObjectMeta: Meta("account", name)}
	a.Spec.WorkspaceRef.Name = Workspace
	for _, edit := range edits {
		edit(&a.Spec)
	}
	x.SetServiceAccount(a)
}

// SetKey declares an ApiKey of the workspace an index begins with.
func SetKey(x *keyindex.Index, name string, edits ...func(*v1alpha1.ApiKeySpec)) {
	k := &v1alpha1.ApiKey{ObjectMeta: Meta("key", name)}
	k.Spec.WorkspaceRef.Name = Workspace
	k.Spec.Environment = v1alpha1.EnvironmentLive
	for _, edit := range edits {
		edit(&k.Spec)
	}
	if err := x.SetApiKey(k); err != nil {
		panic(err)
	}
}

// Issue declares an ApiKey and returns a key for it, in plain text.
func Issue(t testing.TB, x *keyindex.Index, name string, edits ...func(*v1alpha1.ApiKeySpec)) string {
	t.Helper()
	SetKey(x, name, edits...)
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	uid := Meta("key", name).UID
	err = x.SetCredential(credential.Credential{
		Hash:       key.Hash(),
		ApiKeyUID:  uid,
		ApiKey:     types.NamespacedName{Namespace: Namespace, Name: name},
		Generation: 1,
		Hint:       key.Hint(),
		IssuedAt:   IssuedAt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

// Bring declares an ApiKey that brings a key along, of whatever format.
func Bring(t testing.TB, x *keyindex.Index, name, key string, edits ...func(*v1alpha1.ApiKeySpec)) {
	t.Helper()
	SetKey(x, name, edits...)
	err := x.SetCredential(credential.Credential{
		Hash: token.HashOf(key), ApiKeyUID: Meta("key", name).UID, ApiKey: types.NamespacedName{Namespace: Namespace, Name: name},
		Generation: 1, IssuedAt: IssuedAt, Foreign: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// SetLimit declares a KeyLimit. A burst of zero is none.
func SetLimit(x *keyindex.Index, name string, requests int64, per time.Duration, burst int64) {
	rate := v1alpha1.Rate{Requests: requests, Per: metav1.Duration{Duration: per}}
	if burst > 0 {
		rate.Burst = &burst
	}
	SetKeyLimit(x, name, v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{rate}})
}

// SetKeyLimit declares a KeyLimit of any kind.
func SetKeyLimit(x *keyindex.Index, name string, spec v1alpha1.KeyLimitSpec) {
	x.SetKeyLimit(&v1alpha1.KeyLimit{ObjectMeta: Meta("limit", name), Spec: spec})
}

// Quota is so many requests in each period.
func Quota(requests int64, reset v1alpha1.ResetPeriod) v1alpha1.KeyLimitSpec {
	return v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: &requests, ResetPeriod: reset}}
}

// Budget is so many microcents in each period.
func Budget(microcents int64, reset v1alpha1.ResetPeriod) v1alpha1.KeyLimitSpec {
	return v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{SpendMicrocents: &microcents, ResetPeriod: reset}}
}

// Concurrency is so many requests at once, each for no longer than a minute.
func Concurrency(requests int64) v1alpha1.KeyLimitSpec {
	return v1alpha1.KeyLimitSpec{Concurrency: &v1alpha1.Concurrency{Requests: requests}}
}

// Shadow is a limit that only counts what it would refuse.
func Shadow(spec v1alpha1.KeyLimitSpec) v1alpha1.KeyLimitSpec {
	spec.Mode = v1alpha1.ModeShadow
	return spec
}
