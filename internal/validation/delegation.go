package validation

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
)

// Given is a scope that a change gives to somebody who did not have it. Where a Workspace requires
// delegation, whoever makes the change must be allowed to grant it.
type Given struct {
	// Path is where it is given.
	Path *field.Path
	// Scope is what is given; empty: everything.
	Scope string
}

// GivenToKey tells what a key may do that it might not before; all that it may, where it is new (old is nil)
// or gets into other hands.
func GivenToKey(old, key *v1alpha1.ApiKey) []Given {
	before := holder{}
	if old != nil && !KeyChangesHands(old, key) {
		before = holder{general: holding{scopes: old.Spec.Scopes}, grants: old.Spec.Grants}
	}
	return gained(before, holder{general: holding{scopes: key.Spec.Scopes}, grants: key.Spec.Grants})
}

// KeyChangesHands says whether a change lets somebody else hold the key: it is another key that somebody
// brings along, it is sealed to somebody else, or taken from a Secret that is there.
func KeyChangesHands(old, key *v1alpha1.ApiKey) bool {
	return !sameKey(old.Spec.Source, key.Spec.Source) || deliveredElsewhere(&old.Spec.Delivery, &key.Spec.Delivery)
}

func sameKey(a, b *v1alpha1.Source) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.SHA256 == b.SHA256 && reflect.DeepEqual(a.SecretRef, b.SecretRef)
}

func deliveredElsewhere(old, d *v1alpha1.Delivery) bool {
	return d.Existing == v1alpha1.ExistingAdopt && old.Existing != v1alpha1.ExistingAdopt ||
		slices.ContainsFunc(d.Recipients, func(r v1alpha1.Recipient) bool { return !slices.Contains(old.Recipients, r) })
}

// GivenToAccount tells what an account's keys may do that they might not before. Scopes of an account are a
// ceiling and give nothing by themselves; but a key that was cut by them gets what a higher one lets
// through, and a token gets all there is. An account without scopes has no ceiling: that it is new and without a
// token gives nothing.
func GivenToAccount(old, account *v1alpha1.ServiceAccount) []Given {
	before, after := holder{}, ceilingOf(account)
	if old != nil && !tokenChangesHands(old.Spec.Token, account.Spec.Token) {
		before = ceilingOf(old)
	}
	if old == nil && account.Spec.Token == nil {
		after.general.all = false
	}
	return gained(before, after)
}

func tokenChangesHands(old, token *v1alpha1.AccountToken) bool {
	return token != nil && (old == nil || deliveredElsewhere(&old.Delivery, &token.Delivery))
}

func ceilingOf(account *v1alpha1.ServiceAccount) holder {
	spec := &account.Spec
	return holder{general: holding{scopes: spec.Scopes, all: len(spec.Scopes) == 0}, grants: spec.Grants}
}

// GivenByWorkspace tells what a change to a Workspace that requires delegation gives away: everything, where it
// no longer does; and what a scope implies that it did not before, to whoever has that scope.
func GivenByWorkspace(old, workspace *v1alpha1.Workspace) (all []Given) {
	if old.Spec.Keys.Delegation != v1alpha1.DelegationRequired {
		return nil
	}
	path := field.NewPath("spec")
	if workspace.Spec.Keys.Delegation != v1alpha1.DelegationRequired {
		return []Given{{Path: path.Child("keys", "delegation")}}
	}
	implied := make(map[v1alpha1.Scope][]v1alpha1.Scope, len(old.Spec.Scopes))
	for _, d := range old.Spec.Scopes {
		implied[d.Name] = d.Implies
	}
	for i, d := range workspace.Spec.Scopes {
		all = append(all, more(path.Child("scopes").Index(i).Child("implies"), holding{scopes: implied[d.Name]}, holding{scopes: d.Implies})...)
	}
	return all
}

// holding is some scopes, or all there are.
type holding struct {
	scopes []v1alpha1.Scope
	all    bool
}

// holder has scopes in general, and others for single resources in their place.
type holder struct {
	general holding
	grants  []v1alpha1.Grant
}

// at is what holds for a resource.
func (h holder) at(resource v1alpha1.Resource) holding {
	grants := make([]scope.Grant, len(h.grants))
	for i, g := range h.grants {
		grants[i].Resource = string(g.Resource)
	}
	if i := scope.Longest(grants, string(resource)); i >= 0 {
		return holding{scopes: h.grants[i].Scopes}
	}
	return h.general
}

// gained compares in general and for each resource that is named before or after. A grant that goes may give
// something, too: what was narrower there.
func gained(before, after holder) []Given {
	path := field.NewPath("spec")
	all := more(path.Child("scopes"), before.general, after.general)
	for i, g := range after.grants {
		all = append(all, more(path.Child("grants").Index(i).Child("scopes"), before.at(g.Resource), holding{scopes: g.Scopes})...)
	}
	for _, g := range before.grants {
		if !slices.ContainsFunc(after.grants, func(kept v1alpha1.Grant) bool { return kept.Resource == g.Resource }) {
			for _, freed := range more(path.Child("grants"), holding{scopes: g.Scopes}, after.at(g.Resource)) {
				all = append(all, Given{Path: path.Child("grants"), Scope: freed.Scope}) // it is nowhere in the list
			}
		}
	}
	return all
}

func more(path *field.Path, before, after holding) (all []Given) {
	switch {
	case before.all:
		return nil
	case after.all:
		return []Given{{Path: path}}
	}
	had := scope.NewSet(strs(before.scopes))
	for i, s := range after.scopes {
		if !had.Has(string(s)) {
			all = append(all, Given{Path: path.Index(i), Scope: string(s)})
		}
	}
	return all
}
