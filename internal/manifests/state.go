package manifests

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
)

// state is what a directory declares, complete and checked.
type state struct {
	workspaces  map[types.NamespacedName]*v1alpha1.Workspace
	accounts    map[types.NamespacedName]*v1alpha1.ServiceAccount
	limits      map[types.NamespacedName]*v1alpha1.KeyLimit
	keys        map[types.NamespacedName]*v1alpha1.ApiKey
	credentials map[credentialID]credential.Credential
}

type credentialID struct {
	apiKey     types.UID
	generation int
}

func newState() *state {
	return &state{
		workspaces:  map[types.NamespacedName]*v1alpha1.Workspace{},
		accounts:    map[types.NamespacedName]*v1alpha1.ServiceAccount{},
		limits:      map[types.NamespacedName]*v1alpha1.KeyLimit{},
		keys:        map[types.NamespacedName]*v1alpha1.ApiKey{},
		credentials: map[credentialID]credential.Credential{},
	}
}

func (s *state) empty() bool {
	return len(s.workspaces)+len(s.accounts)+len(s.limits)+len(s.keys) == 0
}
