// Package population makes up the tenants whose keys are measured: a thousand workspaces with
// a catalogue of scopes, and as many keys as asked for. Tenants differ in what their keys may do; the keys of
// one are alike, as they are where they are issued by a template, but for those that act for its account.
// What is measured depends on it, so everything but a key's secret part follows from its number.
package population

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

const (
	// Workspaces is how many tenants there are, each in a namespace of its own.
	Workspaces = 1000
	// Hot is how many keys are in use at a time, where there are more: the first ones.
	Hot = 10_000

	workspace = "shop"
	account   = "robot"
	limit     = "standard"
)

// Population is a number of keys, with all that belongs to them.
type Population struct {
	// Keys are in plain text, by the number of the key.
	Keys Keys
}

// IssuedAt is when every key was issued.
var IssuedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New makes a population of n keys.
func New(n int) (*Population, error) {
	keys, err := MakeKeys(n)
	if err != nil {
		return nil, err
	}
	return &Population{Keys: keys}, nil
}

// First is the population without the keys from the nth on.
func (p *Population) First(n int) *Population { return &Population{Keys: p.Keys[:n*KeyLength]} }

// Tenants is how many workspaces have keys.
func (p *Population) Tenants() int { return min(Workspaces, p.Keys.Count()) }

// Namespace is that of a tenant, or of a key.
func Namespace(number int) string { return fmt.Sprintf("tenant-%03d", number%Workspaces) }

// WorkspaceID is the ID of a key's workspace.
func WorkspaceID(number int) string { return Namespace(number) + "/" + workspace }

// Resource is what a key has a grant for: its tenant's property.
func Resource(number int) string { return fmt.Sprintf("property/%07d", number%Workspaces) }

// Workspace is a tenant's.
func Workspace(number int) *v1alpha1.Workspace {
	return &v1alpha1.Workspace{
		ObjectMeta: meta("Workspace", workspace, number),
		Spec:       v1alpha1.WorkspaceSpec{DisplayName: fmt.Sprintf("Shop %d", number), Scopes: catalogue},
	}
}

// ServiceAccount is a tenant's.
func ServiceAccount(number int) *v1alpha1.ServiceAccount {
	return &v1alpha1.ServiceAccount{
		ObjectMeta: meta("ServiceAccount", account, number),
		Spec:       v1alpha1.ServiceAccountSpec{WorkspaceRef: v1alpha1.LocalReference{Name: workspace}, MaxActiveKeys: 1000},
	}
}

// KeyLimit is a tenant's: one rate for each key, which is counted and never reached.
func KeyLimit(number int) *v1alpha1.KeyLimit {
	return &v1alpha1.KeyLimit{
		ObjectMeta: meta("KeyLimit", limit, number),
		Spec: v1alpha1.KeyLimitSpec{
			Rates:   []v1alpha1.Rate{{Requests: 10_000_000, Per: metav1.Duration{Duration: time.Second}}},
			Sharing: v1alpha1.SharingPerKey,
		},
	}
}

// ApiKey is a key as it is declared.
func ApiKey(number int) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{
		ObjectMeta: meta("ApiKey", name(number), number),
		Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: workspace},
			Environment:  v1alpha1.EnvironmentLive,
			State:        v1alpha1.KeyActive,
			Scopes:       scopeLists[number%Workspaces%len(scopeLists)],
			Grants:       []v1alpha1.Grant{{Resource: v1alpha1.Resource(Resource(number)), Scopes: asked}},
			AllowedCIDRs: networkLists[number%Workspaces%len(networkLists)],
			LimitRefs:    []v1alpha1.LocalReference{{Name: limit}},
			Delivery:     v1alpha1.Delivery{DeletionPolicy: v1alpha1.DeletionDelete, OnLoss: v1alpha1.OnLossRotate},
		},
	}
	if number%3 == 0 {
		k.Spec.DisplayName = fmt.Sprintf("%s of shop %d", services[number%len(services)], number%Workspaces)
	}
	if number/Workspaces%4 == 0 {
		k.Spec.ServiceAccountRef = &v1alpha1.LocalReference{Name: account}
	}
	return k
}

// Credential is what the operator keeps of a key.
func (p *Population) Credential(number int) credential.Credential {
	text := p.Keys.At(number)
	return credential.Credential{
		Hash:       token.HashOf(text),
		ApiKeyUID:  uid("ApiKey", number),
		ApiKey:     types.NamespacedName{Namespace: Namespace(number), Name: name(number)},
		Generation: 1,
		Hint:       text[:len("ak_live_")] + "…" + text[len(text)-4:],
		IssuedAt:   IssuedAt,
	}
}

// name has 16 to 20 characters.
func name(number int) string {
	return fmt.Sprintf("%s-%07d", services[number%len(services)], number)
}

func meta(kind, name string, number int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: Namespace(number), Name: name, UID: uid(kind, number),
		Generation: 1, CreationTimestamp: metav1.NewTime(IssuedAt),
	}
}

// uid looks as random as a real one, and follows from what it stands for (splitmix64).
func uid(kind string, number int) types.UID {
	mix := func(z uint64) uint64 {
		z += 0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	high := mix(uint64(number) ^ mix(uint64(len(kind))<<8|uint64(kind[0])))
	low := mix(high)
	return types.UID(fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", high>>32, high>>16&0xffff, high&0xfff, low>>52, low&(1<<48-1)))
}
