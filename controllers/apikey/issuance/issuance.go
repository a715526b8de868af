// Package issuance decides what is to be written so that an ApiKey has exactly one key. It
// is pure: it sees what was observed and says what comes next, so that whatever
// happened between any two writes, asking again goes on from there.
//
// Two rules make that safe. Key material is only ever created, never overwritten; and the
// key is delivered before it is hashed, so that a hash without its delivered Secret always
// means that the Secret was lost (docs/decisions/0001).
package issuance

import (
	"slices"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// Secret is what stands under the name that the key is to be delivered to.
type Secret struct {
	// Own says that it was made for this very ApiKey.
	Own bool
	// Generation of the key in it; 0 if that cannot be read.
	Generation int
	// Key is the hash of the key in it; nil if it holds no well-formed one.
	Key *token.Hash
	// Fits says that the key begins as the keys of this ApiKey do.
	Fits bool
}

// maxGeneration is far beyond the losses that any key sees, and far from where numbers overflow.
const maxGeneration = 1_000_000

// Observation is all that the decision depends on.
type Observation struct {
	// Secret is nil where nothing has the name.
	Secret *Secret
	// Hashes of the keys that were issued, by generation.
	Hashes map[int]token.Hash
	// Over says that the key was revoked or has expired: it gets no successor.
	Over   bool
	OnLoss v1alpha1.OnLoss
}

// Plan is what to write, in this order, or why nothing can be.
type Plan struct {
	// Deliver makes a new key of this generation and creates the Secret for it.
	Deliver int
	// Hash creates the hash of the delivered key, under this generation.
	Hash int
	// Delete are the generations whose hashes go, ascending.
	Delete []int
	// Problem is the reason of the Ready condition that tells a person what is in the
	// way; empty: nothing.
	Problem string
	// Lost says that the Secret of an issued key is gone.
	Lost bool
}

// Issues says whether the plan makes a key work that did not.
func (p Plan) Issues() bool { return p.Hash != 0 }

// Settled says that there is nothing to write and nothing in the way.
func (p Plan) Settled() bool { return p.Hash == 0 && len(p.Delete) == 0 && p.Problem == "" }

// rules are asked in order, and the first that applies decides.
var rules = []func(Observation) (plan Plan, applies bool){
	over,
	conflict,
	first,
	lost,
	unreadable,
	delivered,
	undelivered,
}

// Decide returns what comes next.
func Decide(o Observation) Plan {
	for _, rule := range rules {
		if plan, applies := rule(o); applies {
			return plan
		}
	}
	return Plan{Problem: v1alpha1.ReasonSecretAltered}
}

// Latest is the highest generation that was issued; 0: none.
func (o Observation) Latest() int {
	latest := 0
	for generation := range o.Hashes {
		latest = max(latest, generation)
	}
	return latest
}

// over issues nothing, and is in nobody's way.
func over(o Observation) (Plan, bool) {
	plan := Plan{Lost: o.Secret == nil && len(o.Hashes) > 0}
	if o.holdsIssuedKey() {
		plan.Delete = o.others(o.Secret.Generation)
	}
	return plan, o.Over
}

// conflict leaves alone what belongs to somebody else.
func conflict(o Observation) (Plan, bool) {
	return Plan{Problem: v1alpha1.ReasonSecretConflict}, o.Secret != nil && !o.Secret.Own
}

// first issues the first key.
func first(o Observation) (Plan, bool) {
	if o.Secret != nil || len(o.Hashes) > 0 {
		return Plan{}, false
	}
	return Plan{Deliver: 1, Hash: 1}, true
}

// lost answers the loss of the delivered Secret, whose key cannot be had again. After the last
// generation comes none: nobody but a meddler gets there.
func lost(o Observation) (Plan, bool) {
	switch {
	case o.Secret != nil:
		return Plan{}, false
	case o.OnLoss == v1alpha1.OnLossFail:
		return Plan{Lost: true, Problem: v1alpha1.ReasonSecretLost}, true
	case o.Latest() >= maxGeneration:
		return Plan{Lost: true, Problem: v1alpha1.ReasonSecretAltered}, true
	}
	next := o.Latest() + 1
	return Plan{Lost: true, Deliver: next, Hash: next, Delete: o.others(next)}, true
}

// unreadable leaves alone what somebody wrote into the Secret.
func unreadable(o Observation) (Plan, bool) {
	return Plan{Problem: v1alpha1.ReasonSecretAltered}, o.Secret.Generation == 0 || o.Secret.Key == nil
}

// delivered is the state that all others lead to: the Secret holds the key whose hash is
// known. Every other hash belongs to a key that this one has replaced.
func delivered(o Observation) (Plan, bool) {
	if _, issued := o.Hashes[o.Secret.Generation]; !issued {
		return Plan{}, false
	}
	if !o.holdsIssuedKey() {
		return Plan{Problem: v1alpha1.ReasonSecretAltered}, true
	}
	return Plan{Delete: o.others(o.Secret.Generation)}, true
}

// undelivered goes on where a crash, or the deletion of the hash, left a delivered key without
// one. Where a hash is known, the generation must be the next: an older one is a Secret that somebody
// brought back, and its key has been replaced since. So must the key: one that was issued already
// is no successor, and another hash would give it another life. Where no hash is known, the one of any
// generation may have been deleted.
func undelivered(o Observation) (Plan, bool) {
	latest, secret := o.Latest(), o.Secret
	follows := latest == 0 || secret.Generation == latest+1
	if !follows || secret.Generation > maxGeneration || !secret.Fits || o.wasIssued(*secret.Key) {
		return Plan{}, false
	}
	return Plan{Hash: secret.Generation, Delete: o.others(secret.Generation)}, true
}

// holdsIssuedKey says whether the delivered Secret holds a key that was issued.
func (o Observation) holdsIssuedKey() bool {
	if o.Secret == nil || !o.Secret.Own || o.Secret.Key == nil {
		return false
	}
	hash, issued := o.Hashes[o.Secret.Generation]
	return issued && hash == *o.Secret.Key
}

// wasIssued says whether the key was issued, under whatever generation.
func (o Observation) wasIssued(key token.Hash) bool {
	for _, hash := range o.Hashes {
		if hash == key {
			return true
		}
	}
	return false
}

func (o Observation) others(generation int) []int {
	var others []int
	for g := range o.Hashes {
		if g != generation {
			others = append(others, g)
		}
	}
	slices.Sort(others)
	return others
}
