package issuance

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// rotating is a world in which keys are rotated.
type rotating struct {
	world
	staged *Secret
	// asked is how many generations there are to be at least.
	asked   int
	bounded map[int]bool
}

func (r *rotating) observe(overlap bool) Observation {
	o := r.world.observe(v1alpha1.OnLossRotate, false)
	if r.staged != nil {
		staged := *r.staged
		o.Staged = &staged
	}
	o.Renew = r.secret != nil && r.secret.Generation < r.asked
	o.Overlap, o.Bounded = overlap, maps.Clone(r.bounded)
	return o
}

// carryOut does the first writes of a plan and then crashes.
func (r *rotating) carryOut(p Plan, writes int) {
	step := func(planned bool, write func()) {
		if planned && writes > 0 {
			write()
			writes--
		}
	}
	step(p.Deliver != 0, func() { r.deliver(p.Deliver) })
	step(p.Stage != 0, func() { r.stage(p.Stage) })
	step(p.Hash != 0 && p.From == Staged, func() {
		if _, exists := r.hashes[p.Hash]; exists {
			r.faults = append(r.faults, "wrote over a hash")
		}
		r.hashes[p.Hash] = *r.staged.Key
		r.working[*r.staged.Key] = true
	})
	step(p.Hash != 0 && p.From == Delivered, func() { r.hash(p.Hash) })
	step(p.Promote != 0, func() { r.secret = own(r.staged.Generation, r.staged.Key) })
	for _, g := range p.Retire {
		step(true, func() { r.bounded[g] = true })
	}
	for _, g := range p.Delete {
		step(true, func() { r.delete(g) })
	}
	step(p.Unstage, func() { r.staged = nil })
}

func (r *rotating) stage(generation int) {
	if r.staged != nil {
		r.faults = append(r.faults, "staged over a key")
	}
	r.made++
	key := token.HashOf(fmt.Sprint(r.made))
	r.staged = own(generation, &key)
}

// Whatever crashes and losses come in between, a rotation ends with the delivered key at least as new as was
// asked for and nothing staged; a delivered key that worked works at every moment; and no more keys
// ever worked than were asked for or lost.
func TestEveryRotationLeadsToOneCurrentKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &rotating{world: world{hashes: map[int]token.Hash{}, working: map[token.Hash]bool{}}, bounded: map[int]bool{}}
		renewals := 0
		works := func() {
			if r.secret == nil || !r.working[*r.secret.Key] {
				return
			}
			if r.hashes[r.secret.Generation] != *r.secret.Key {
				t.Fatalf("what is delivered does not work: %+v", r)
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			switch rapid.SampledFrom([]string{"work", "work", "work", "ask", "lose the Secret"}).Draw(t, "event") {
			case "work":
				r.carryOut(Decide(r.observe(rapid.Bool().Draw(t, "overlap"))), rapid.IntRange(0, 3).Draw(t, "writes before the crash"))
			case "ask":
				if r.secret != nil && r.secret.Generation >= r.asked {
					r.asked, renewals = r.secret.Generation+1, renewals+1
				}
			case "lose the Secret":
				r.loseSecret()
			}
			works()
		}
		for round := 0; ; round++ {
			plan := Decide(r.observe(false))
			if plan.Settled() {
				break
			}
			if plan.Problem != "" || round > 12 {
				t.Fatalf("stuck with %+v in %+v", plan, r)
			}
			r.carryOut(plan, rapid.IntRange(1, 4).Draw(t, "writes before another crash"))
			works()
		}
		if len(r.hashes) != 1 || r.secret == nil || r.hashes[r.secret.Generation] != *r.secret.Key || r.staged != nil {
			t.Fatalf("ended with %d hashes, %+v, staged %+v", len(r.hashes), r.secret, r.staged)
		}
		if r.secret.Generation < r.asked || len(r.faults) > 0 {
			t.Fatalf("generation %d of %d; %v", r.secret.Generation, r.asked, r.faults)
		}
		if len(r.working) > 1+renewals+r.losses {
			t.Fatalf("%d keys have worked, for %d renewals and %d losses", len(r.working), renewals, r.losses)
		}
	})
}
