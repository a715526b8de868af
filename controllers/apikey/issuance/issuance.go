// Package issuance decides what is to be written so that an ApiKey has exactly one current
// key. It is pure: it sees what was observed and says what comes next, so that whatever
// happened between any two writes, asking again goes on from there.
//
// Three rules make that safe. A key is only ever created, never made up anew under the same
// generation; the first key is delivered before it is hashed, so that a hash without its delivered Secret
// always means that the Secret was lost (docs/decisions/0001); and a key that replaces one is staged and hashed
// before it is delivered, so that what is delivered always works (docs/decisions/0016).
package issuance

import (
	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// Secret is what stands under the name that the key is to be delivered to, or staged at.
type Secret struct {
	// Own says that it was made for this very ApiKey.
	Own bool
	// Adoptable says that it is nobody's, and may become this ApiKey's own.
	Adoptable bool
	// Generation of the key in it; 0 if that cannot be read.
	Generation int
	// Key is the hash of the key in it; nil if it holds no well-formed one.
	Key *token.Hash
	// Fits says that the key begins as the keys of this ApiKey do.
	Fits bool
}

// maxGeneration is far beyond the losses that any key sees, and far from where numbers overflow.
const maxGeneration = 500_000

// Observation is all that the decision depends on.
type Observation struct {
	// Secret is nil where nothing has the name.
	Secret *Secret
	// Staged holds the key that is to follow; nil: none is.
	Staged *Secret
	// Hashes of the keys that were issued, by generation.
	Hashes map[int]token.Hash
	// Over says that the key was revoked or has expired: it gets no successor.
	Over   bool
	OnLoss v1alpha1.OnLoss
	// Renew says that another key is to follow.
	Renew bool
	// Hold says that not every verifier knows the staged key yet, so that it is not to be delivered.
	Hold bool
	// Overlap says that the keys which the current one replaced may work on for now.
	Overlap bool
	// Bounded are the generations whose end is set to that of the overlap or before; Ended those that
	// have ended.
	Bounded, Ended map[int]bool
}

// Origin is where the key comes from whose hash is created.
type Origin int

// The origins.
const (
	Delivered Origin = iota
	Staged
	// Sealed is a key that is made at that moment.
	Sealed
	// Source is a key that is brought along.
	Source
)

// Plan is what to write, in this order, or why nothing can be.
type Plan struct {
	// Adopt makes the Secret under the delivery's name this ApiKey's own.
	Adopt bool
	// Deliver makes a new key of this generation and creates the Secret for it.
	Deliver int
	// Stage makes the key that is to follow, of this generation, and creates the Secret that it waits in.
	Stage int
	// Hash creates the hash of a key, under this generation; From says of which key.
	Hash int
	From Origin
	// Promote puts the staged key of this generation into the delivered Secret.
	Promote int
	// Retire are the generations whose end is set to that of the overlap, ascending.
	Retire []int
	// Delete are the generations whose hashes go, ascending.
	Delete []int
	// Unstage deletes the staged Secret.
	Unstage bool
	// Wait says that the next step waits for the verifiers.
	Wait bool
	// Problem is the reason of the Ready condition that tells a person what is in the
	// way; empty: nothing.
	Problem string
	// Lost says that the Secret of an issued key is gone.
	Lost bool
}

// Issues says whether the plan makes a key work that did not, or leads to that.
func (p Plan) Issues() bool { return p.Hash != 0 || p.Stage != 0 }

// Settled says that there is nothing to write and nothing in the way.
func (p Plan) Settled() bool {
	return !p.Adopt && !p.Issues() && p.Promote == 0 && len(p.Retire) == 0 && len(p.Delete) == 0 && !p.Unstage && p.Problem == ""
}

// rules are asked in order, and the first that applies decides.
var rules = []func(Observation) (plan Plan, applies bool){
	over,
	conflict,
	first,
	lost,
	unreadable,
	staged,
	renewal,
	delivered,
	undelivered,
}

// Decide returns what comes next for a key that is delivered into a Secret.
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
	plan := Plan{Lost: o.Secret == nil && len(o.Hashes) > 0, Unstage: o.Staged != nil}
	if o.holdsIssuedKey() {
		plan.Delete = o.others(o.Secret.Generation)
	}
	return plan, o.Over
}

// conflict leaves alone what belongs to somebody else, unless it may be taken over: then it is judged
// as this ApiKey's own.
func conflict(o Observation) (Plan, bool) {
	switch {
	case o.Secret == nil || o.Secret.Own:
		return Plan{}, false
	case o.Secret.Adoptable && o.Secret.Key != nil && o.Secret.Fits && len(o.Hashes) == 0:
		return Plan{Adopt: true}, true
	}
	return Plan{Problem: v1alpha1.ReasonSecretConflict}, true
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
	return o.settle(Plan{}, o.Secret.Generation, *o.Secret.Key), true
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
	return o.settle(Plan{Hash: secret.Generation}, secret.Generation, *secret.Key), true
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
