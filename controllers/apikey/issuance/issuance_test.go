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
	} {
		t.Run(name, func(t *testing.T) {
			if got := Decide(test.seen); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
