package issuance

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// world is a cluster as far as one ApiKey's key material goes. It refuses what the API
// server would refuse, and keeps account of what must not happen.
type world struct {
	secret  *Secret
	hashes  map[int]token.Hash
	made    int
	faults  []string
	losses  int // of delivered Secrets whose key had been issued
	working map[token.Hash]bool
}

func (w *world) observe(onLoss v1alpha1.OnLoss, over bool) Observation {
	o := Observation{Hashes: maps.Clone(w.hashes), OnLoss: onLoss, Over: over}
	if w.secret != nil {
		secret := *w.secret
		o.Secret = &secret
	}
	return o
}

// carryOut does the first writes of a plan and then crashes; it returns how many were done.
func (w *world) carryOut(p Plan, writes int) (done int) {
	step := func(write func()) {
		if done < writes {
			write()
			done++
		}
	}
	if p.Deliver != 0 {
		step(func() { w.deliver(p.Deliver) })
	}
	if p.Hash != 0 {
		step(func() { w.hash(p.Hash) })
	}
	for _, generation := range p.Delete {
		step(func() { w.delete(generation) })
	}
	return done
}

func (w *world) deliver(generation int) {
	if w.secret != nil {
		w.faults = append(w.faults, "delivered over a Secret")
		return
	}
	w.made++
	key := token.HashOf(fmt.Sprint(w.made))
	w.secret = own(generation, &key)
}

func (w *world) hash(generation int) {
	if _, exists := w.hashes[generation]; exists {
		w.faults = append(w.faults, "wrote over a hash")
		return
	}
	w.hashes[generation] = *w.secret.Key
	w.working[*w.secret.Key] = true
}

func (w *world) delete(generation int) {
	if w.secret == nil || *w.secret.Key == w.hashes[generation] {
		w.faults = append(w.faults, "deleted the hash of the delivered key")
	}
	delete(w.hashes, generation)
}

func (w *world) loseSecret() {
	if w.secret != nil && w.working[*w.secret.Key] {
		w.losses++
	}
	w.secret = nil
}

// From any state that crashes, losses and meddling lead to, at any of their moments, the
// plans lead to exactly one hash, and it is that of the delivered key.
func TestEveryPathLeadsToOneKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{hashes: map[int]token.Hash{}, working: map[token.Hash]bool{}}
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			switch rapid.SampledFrom([]string{"work", "work", "lose the Secret", "lose a hash"}).Draw(t, "event") {
			case "work":
				w.carryOut(Decide(w.observe(v1alpha1.OnLossRotate, false)), rapid.IntRange(0, 4).Draw(t, "writes before the crash"))
			case "lose the Secret":
				w.loseSecret()
			case "lose a hash":
				// Not amid a replacement: its generation would not follow any more, which is for a person to look at.
				amid := w.secret != nil && !w.working[*w.secret.Key]
				if known := slices.Sorted(maps.Keys(w.hashes)); len(known) > 0 && !amid {
					delete(w.hashes, rapid.SampledFrom(known).Draw(t, "generation"))
				}
			}
		}
		for round := 0; ; round++ {
			plan := Decide(w.observe(v1alpha1.OnLossRotate, false))
			if plan.Settled() {
				break
			}
			if plan.Problem != "" || round > 5 {
				t.Fatalf("stuck with %+v in %+v", plan, w)
			}
			w.carryOut(plan, rapid.IntRange(1, 4).Draw(t, "writes before another crash"))
		}
		if len(w.hashes) != 1 || w.secret == nil || w.hashes[w.secret.Generation] != *w.secret.Key {
			t.Fatalf("ended with %d hashes and %+v", len(w.hashes), w.secret)
		}
		if len(w.faults) > 0 {
			t.Fatal(w.faults)
		}
		if len(w.working) > w.losses+1 {
			t.Fatalf("%d keys have worked, and only %d were lost", len(w.working), w.losses)
		}
	})
}

// A key that is over never gets a successor, and one whose loss is only to be reported neither.
func TestNoKeyIsReplacedUnasked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{hashes: map[int]token.Hash{}, working: map[token.Hash]bool{}}
		w.carryOut(Decide(w.observe("", false)), rapid.IntRange(0, 2).Draw(t, "writes"))
		issued := len(w.working)
		if rapid.Bool().Draw(t, "the Secret is lost") {
			w.loseSecret()
		}
		over := issued == 0 || rapid.Bool().Draw(t, "over")
		plan := Decide(w.observe(v1alpha1.OnLossFail, over))
		w.carryOut(plan, 4)
		if len(w.working) != issued || len(w.hashes) != issued {
			t.Fatalf("%+v was done: %+v", plan, w)
		}
	})
}
