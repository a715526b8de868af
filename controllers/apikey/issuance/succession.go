package issuance

import (
	"maps"
	"slices"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// staged brings a key that was staged to those who use it: hashed, so that it works, then known to the
// verifiers, then delivered. What is staged and cannot follow the current key is thrown away; nobody had it.
func staged(o Observation) (Plan, bool) {
	next := o.Staged
	if next == nil || !o.holdsIssuedKey() {
		return Plan{}, false
	}
	hash, issued := o.Hashes[next.Generation]
	switch {
	case next.Key == nil || !next.Fits || next.Generation <= o.Secret.Generation || issued && hash != *next.Key:
		return Plan{Unstage: true}, true
	case !issued && (next.Generation != o.Latest()+1 || next.Generation > maxGeneration || o.wasIssued(*next.Key)):
		return Plan{Unstage: true}, true
	case !issued:
		return Plan{Hash: next.Generation, From: Staged}, true
	case o.Hold:
		return Plan{Wait: true}, true
	}
	return Plan{Promote: next.Generation}, true
}

// renewal stages another key. A hash beyond the delivered key's, with nothing staged, is of a key that
// nobody ever had.
func renewal(o Observation) (Plan, bool) {
	if !o.Renew || !o.holdsIssuedKey() || o.Latest() >= maxGeneration {
		return Plan{}, false
	}
	return Plan{Stage: o.Latest() + 1}, true
}

// DecideSealed returns what comes next for a key that is sealed. Its hash and what was sealed are one
// object, so that neither is without the other. Told says that the status tells of a key.
func DecideSealed(o Observation, told bool) Plan {
	latest := o.Latest()
	switch {
	case o.Over:
		return Plan{Delete: o.others(latest)}
	case latest == 0 && told && o.OnLoss == v1alpha1.OnLossFail:
		return Plan{Lost: true, Problem: v1alpha1.ReasonSecretLost}
	case latest == 0:
		return Plan{Lost: told, Hash: 1, From: Sealed}
	case o.Renew && latest < maxGeneration:
		return Plan{Hash: latest + 1, From: Sealed}
	}
	return o.settle(Plan{}, latest, o.Hashes[latest])
}

// DecideBrought returns what comes next for a key that is brought along; nil: it is not to be had now, and
// what was issued stays. Rival says that another ApiKey had the same key before: then this one does without.
func DecideBrought(o Observation, key *token.Hash, rival bool) Plan {
	latest := o.Latest()
	switch {
	case o.Over:
		return Plan{Delete: o.others(latest)}
	case rival:
		return Plan{Problem: v1alpha1.ReasonDuplicateKey, Delete: o.of(*key)}
	case key == nil:
		return Plan{}
	case latest == 0:
		return Plan{Hash: 1, From: Source}
	case o.Hashes[latest] != *key && latest < maxGeneration:
		return Plan{Hash: latest + 1, From: Source}
	}
	return o.settle(Plan{}, latest, o.Hashes[latest])
}

// settle adds what becomes of the keys besides the current one. Those it replaced work on for
// the overlap; one that never was delivered, or that is the same key once more, goes at once.
func (o Observation) settle(plan Plan, current int, key token.Hash) Plan {
	for _, g := range o.others(current) {
		switch {
		case g > current, o.Hashes[g] == key, !o.Overlap, o.Ended[g]:
			plan.Delete = append(plan.Delete, g)
		case !o.Bounded[g]:
			plan.Retire = append(plan.Retire, g)
		}
	}
	return plan
}

// Settling is what becomes of the keys that the current one replaced, and nothing else: of those that are to follow
// it says nothing.
func (o Observation) Settling() Plan {
	current := o.Latest()
	if o.Secret != nil {
		if !o.holdsIssuedKey() {
			return Plan{}
		}
		current = o.Secret.Generation
	}
	plan := o.settle(Plan{}, current, o.Hashes[current])
	plan.Delete = slices.DeleteFunc(plan.Delete, func(g int) bool { return g > current })
	return plan
}

// others are the generations besides one, ascending.
func (o Observation) others(generation int) []int {
	return o.where(func(g int) bool { return g != generation })
}

// of are the generations that have a hash, ascending.
func (o Observation) of(key token.Hash) []int {
	return o.where(func(g int) bool { return o.Hashes[g] == key })
}

func (o Observation) where(is func(generation int) bool) (found []int) {
	for _, g := range slices.Sorted(maps.Keys(o.Hashes)) {
		if is(g) {
			found = append(found, g)
		}
	}
	return found
}
