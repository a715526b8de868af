package manifests

import (
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

// places are those that keys have taken so far, of the most that there may be.
type places struct {
	workspaces map[*v1alpha1.Workspace]int
	accounts   map[*v1alpha1.ServiceAccount]int
	users      map[user]int
}

// user is whom personal tokens belong to, in one workspace.
type user struct {
	workspace *v1alpha1.Workspace
	id        v1alpha1.EntityID
}

func newPlaces() places {
	return places{map[*v1alpha1.Workspace]int{}, map[*v1alpha1.ServiceAccount]int{}, map[user]int{}}
}

// tell puts into refs how many other keys have taken places before this one.
func (p places) tell(refs *validation.References, key *v1alpha1.ApiKey) {
	refs.KeysInWorkspace, refs.KeysOfAccount = p.workspaces[refs.Workspace], p.accounts[refs.ServiceAccount]
	if of, personal := userOf(refs, key); personal {
		refs.KeysOfUser = p.users[of]
	}
}

// take takes the places that a key needs.
func (p places) take(refs *validation.References, key *v1alpha1.ApiKey, now time.Time) {
	if !validation.Counts(key, now) {
		return
	}
	p.workspaces[refs.Workspace]++
	p.accounts[refs.ServiceAccount]++
	if of, personal := userOf(refs, key); personal {
		p.users[of]++
	}
}

func userOf(refs *validation.References, key *v1alpha1.ApiKey) (of user, personal bool) {
	entity := key.Spec.Entity
	if entity == nil || entity.Kind != v1alpha1.EntityUser || refs.Workspace == nil {
		return user{}, false
	}
	return user{refs.Workspace, entity.ID}, true
}
