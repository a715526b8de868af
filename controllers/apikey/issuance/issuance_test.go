package issuance

import (
	"math"
	"reflect"
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

var (
	keyA = token.HashOf("a")
	keyB = token.HashOf("b")
)

func own(generation int, key *token.Hash) *Secret {
	return &Secret{Own: true, Generation: generation, Key: key, Fits: true}
}

func TestDecide(t *testing.T) {
	type hashes = map[int]token.Hash
	for name, test := range map[string]struct {
		seen Observation
		want Plan
	}{
		"a new key is delivered, then hashed": {
			Observation{}, Plan{Deliver: 1, Hash: 1}},
		"a revoked key is not issued": {
			Observation{Over: true}, Plan{}},
		"a delivered key without a hash is hashed": {
			Observation{Secret: own(1, &keyA)}, Plan{Hash: 1}},
		"a delivered key whose hash somebody deleted is hashed again, whatever its generation": {
			Observation{Secret: own(4, &keyA)}, Plan{Hash: 4}},
		"a revoked key that was delivered is not hashed": {
			Observation{Secret: own(1, &keyA), Over: true}, Plan{}},
		"a delivered key with its hash needs nothing": {
			Observation{Secret: own(1, &keyA), Hashes: hashes{1: keyA}}, Plan{}},
		"a revoked key with its hash needs nothing": {
			Observation{Secret: own(1, &keyA), Hashes: hashes{1: keyA}, Over: true}, Plan{}},
		"every hash but the delivered key's is deleted": {
			Observation{Secret: own(3, &keyA), Hashes: hashes{1: keyB, 2: keyB, 3: keyA}}, Plan{Delete: []int{1, 2}}},
		"a lost key is replaced, and dies last": {
			Observation{Hashes: hashes{1: keyA}}, Plan{Lost: true, Deliver: 2, Hash: 2, Delete: []int{1}}},
		"a replacement that was delivered is hashed": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA}}, Plan{Hash: 2, Delete: []int{1}}},
		"a lost key is reported where that was asked for": {
			Observation{Hashes: hashes{1: keyA}, OnLoss: v1alpha1.OnLossFail}, Plan{Lost: true, Problem: v1alpha1.ReasonSecretLost}},
		"a lost key that is over is let go": {
			Observation{Hashes: hashes{1: keyA}, Over: true, OnLoss: v1alpha1.OnLossFail}, Plan{Lost: true}},
		"a Secret that is altered or taken is no matter to a key that is over": {
			Observation{Secret: &Secret{}, Hashes: hashes{1: keyA}, Over: true}, Plan{}},
		"a key that is over loses the hashes it had replaced": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}, Over: true}, Plan{Delete: []int{1}}},
		"somebody else's Secret is left alone": {
			Observation{Secret: &Secret{Generation: 1, Key: &keyA}}, Plan{Problem: v1alpha1.ReasonSecretConflict}},
		"somebody else's Secret in place of the lost one is left alone": {
			Observation{Secret: &Secret{}, Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretConflict}},
		"another key under the same generation is an alteration": {
			Observation{Secret: own(1, &keyB), Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"no key at all is an alteration": {
			Observation{Secret: own(1, nil), Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"an unreadable generation is an alteration": {
			Observation{Secret: own(0, &keyA), Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"a Secret brought back from before a replacement is an alteration": {
			Observation{Secret: own(1, &keyA), Hashes: hashes{2: keyB}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"a key that begins as none of the ApiKey's is not hashed": {
			Observation{Secret: &Secret{Own: true, Generation: 1, Key: &keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"nor is it as a replacement": {
			Observation{Secret: &Secret{Own: true, Generation: 2, Key: &keyB}, Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"an issued key may begin as none would now": {
			Observation{Secret: &Secret{Own: true, Generation: 1, Key: &keyA}, Hashes: hashes{1: keyA}}, Plan{}},
		"the last generation is hashed again": {
			Observation{Secret: own(maxGeneration, &keyA)}, Plan{Hash: maxGeneration}},
		"a generation that is never reached is an alteration": {
			Observation{Secret: own(maxGeneration+1, &keyA)}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"nor is it reached as a replacement": {
			Observation{Secret: own(maxGeneration+1, &keyB), Hashes: hashes{maxGeneration: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"after the last generation comes none": {
			Observation{Hashes: hashes{maxGeneration: keyA}}, Plan{Lost: true, Problem: v1alpha1.ReasonSecretAltered}},
		"the greatest number has no successor": {
			Observation{Hashes: hashes{math.MaxInt: keyA}}, Plan{Lost: true, Problem: v1alpha1.ReasonSecretAltered}},
		"and may be over": {
			Observation{Hashes: hashes{math.MaxInt: keyA}, Over: true}, Plan{Lost: true}},
		"an issued key under the next generation is an alteration": {
			Observation{Secret: own(2, &keyA), Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"a generation that does not follow is an alteration": {
			Observation{Secret: own(9, &keyB), Hashes: hashes{2: keyA}}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"a key that is to follow is staged": {
			Observation{Secret: own(1, &keyA), Hashes: hashes{1: keyA}, Renew: true}, Plan{Stage: 2}},
		"a staged key is hashed": {
			Observation{Secret: own(1, &keyA), Staged: own(2, &keyB), Hashes: hashes{1: keyA}, Renew: true}, Plan{Hash: 2, From: Staged}},
		"a staged key that is hashed waits for the verifiers": {
			Observation{Secret: own(1, &keyA), Staged: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}, Hold: true}, Plan{Wait: true}},
		"a staged key that works is delivered": {
			Observation{Secret: own(1, &keyA), Staged: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}}, Plan{Promote: 2}},
		"once it is delivered it is staged no more": {
			Observation{Secret: own(2, &keyB), Staged: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}}, Plan{Unstage: true}},
		"the key it replaced ends with the overlap": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}, Overlap: true}, Plan{Retire: []int{1}}},
		"and works until then": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}, Overlap: true, Bounded: map[int]bool{1: true}}, Plan{}},
		"and goes once it has ended": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}, Overlap: true, Bounded: map[int]bool{1: true}, Ended: map[int]bool{1: true}},
			Plan{Delete: []int{1}}},
		"without an overlap it goes at once": {
			Observation{Secret: own(2, &keyB), Hashes: hashes{1: keyA, 2: keyB}}, Plan{Delete: []int{1}}},
		"a staged key that is none is thrown away": {
			Observation{Secret: own(1, &keyA), Staged: own(2, nil), Hashes: hashes{1: keyA}, Renew: true}, Plan{Unstage: true}},
		"so is one that begins as none of the ApiKey's": {
			Observation{Secret: own(1, &keyA), Staged: &Secret{Own: true, Generation: 2, Key: &keyB}, Hashes: hashes{1: keyA}}, Plan{Unstage: true}},
		"and one that does not follow": {
			Observation{Secret: own(1, &keyA), Staged: own(3, &keyB), Hashes: hashes{1: keyA}}, Plan{Unstage: true}},
		"and one that was issued before": {
			Observation{Secret: own(2, &keyB), Staged: own(3, &keyA), Hashes: hashes{1: keyA, 2: keyB}}, Plan{Unstage: true}},
		"and what was staged for a key that is over": {
			Observation{Secret: own(1, &keyA), Staged: own(2, &keyB), Hashes: hashes{1: keyA}, Over: true}, Plan{Unstage: true}},
		"a hash beyond the delivered key's was never of use to anybody": {
			Observation{Secret: own(1, &keyA), Hashes: hashes{1: keyA, 2: keyB}, Overlap: true}, Plan{Delete: []int{2}}},
		"a Secret that is altered is not renewed either": {
			Observation{Secret: own(1, &keyB), Hashes: hashes{1: keyA}, Renew: true}, Plan{Problem: v1alpha1.ReasonSecretAltered}},
		"nobody's Secret is adopted where that is allowed": {
			Observation{Secret: &Secret{Adoptable: true, Key: &keyA, Fits: true}}, Plan{Adopt: true}},
		"but not in the place of a key that is known": {
			Observation{Secret: &Secret{Adoptable: true, Key: &keyA, Fits: true}, Hashes: hashes{1: keyA}}, Plan{Problem: v1alpha1.ReasonSecretConflict}},
		"nor where it holds no key of this ApiKey's": {
			Observation{Secret: &Secret{Adoptable: true, Key: &keyA}}, Plan{Problem: v1alpha1.ReasonSecretConflict}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decide(test.seen); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestDecideSealed(t *testing.T) {
	type hashes = map[int]token.Hash
	for name, test := range map[string]struct {
		seen Observation
		told bool
		want Plan
	}{
		"a new key is sealed":                   {Observation{}, false, Plan{Hash: 1, From: Sealed}},
		"a revoked key is not":                  {Observation{Over: true}, false, Plan{}},
		"a sealed key needs nothing":            {Observation{Hashes: hashes{1: keyA}}, true, Plan{}},
		"a key that is to follow is sealed":     {Observation{Hashes: hashes{1: keyA}, Renew: true}, true, Plan{Hash: 2, From: Sealed}},
		"a lost key is replaced":                {Observation{}, true, Plan{Lost: true, Hash: 1, From: Sealed}},
		"or reported":                           {Observation{OnLoss: v1alpha1.OnLossFail}, true, Plan{Lost: true, Problem: v1alpha1.ReasonSecretLost}},
		"the replaced key ends with an overlap": {Observation{Hashes: hashes{1: keyA, 2: keyB}, Overlap: true}, true, Plan{Retire: []int{1}}},
		"and without one at once":               {Observation{Hashes: hashes{1: keyA, 2: keyB}}, true, Plan{Delete: []int{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := DecideSealed(test.seen, test.told); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestDecideBrought(t *testing.T) {
	type hashes = map[int]token.Hash
	for name, test := range map[string]struct {
		seen  Observation
		key   *token.Hash
		rival bool
		want  Plan
	}{
		"a key is taken in":                     {Observation{}, &keyA, false, Plan{Hash: 1, From: Source}},
		"a revoked key is not":                  {Observation{Over: true}, &keyA, false, Plan{}},
		"a known key needs nothing":             {Observation{Hashes: hashes{1: keyA}}, &keyA, false, Plan{}},
		"a source that is gone ends no key":     {Observation{Hashes: hashes{1: keyA}}, nil, false, Plan{}},
		"another key follows":                   {Observation{Hashes: hashes{1: keyA}}, &keyB, false, Plan{Hash: 2, From: Source}},
		"the replaced key ends with an overlap": {Observation{Hashes: hashes{1: keyA, 2: keyB}, Overlap: true}, &keyB, false, Plan{Retire: []int{1}}},
		"the same key once more replaces itself": {
			Observation{Hashes: hashes{1: keyA, 2: keyB, 3: keyA}, Overlap: true, Bounded: map[int]bool{1: true, 2: true}}, &keyA, false, Plan{Delete: []int{1}}},
		"a key that another had before is not taken in": {
			Observation{}, &keyA, true, Plan{Problem: v1alpha1.ReasonDuplicateKey}},
		"nor kept, and what there was besides stays": {
			Observation{Hashes: hashes{1: keyB, 2: keyA}}, &keyA, true, Plan{Problem: v1alpha1.ReasonDuplicateKey, Delete: []int{2}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := DecideBrought(test.seen, test.key, test.rival); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
