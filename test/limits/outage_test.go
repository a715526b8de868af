package limits

import (
	"fmt"
	"testing"

	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// outage is what may become of the server, and how it comes back.
type outage struct {
	begin, end func(*valkeyserver.Server)
}

var outages = map[string]outage{
	"killed, and restarted empty": {(*valkeyserver.Server).Kill, (*valkeyserver.Server).Restart},
	"paused":                      {(*valkeyserver.Server).Stop, (*valkeyserver.Server).Continue},
}

// Whatever becomes of the server, every request is answered, as the policy has it, and once it is back
// limits hold as before: what was used is not forgotten, nor handed out again.
func TestTheServerGoesAndComesBack(t *testing.T) {
	for name, outage := range outages {
		for _, consistency := range []string{"Strict", "Leased"} {
			for _, policy := range []string{"local", "open", "closed"} {
				t.Run(fmt.Sprintf("%s, %s, %s", name, consistency, policy), func(t *testing.T) {
					comeBack(t, outage, consistency, policy)
				})
			}
		}
	}
}

func comeBack(t *testing.T, outage outage, consistency, policy string) {
	server := valkeyserver.Start(t)
	tn := newTenant(t, "{rates: [{requests: 1500, per: 30m}], consistency: "+consistency+"}")
	verifiers := startThree(t, tn, server.URL(), "--limits-outage", policy, "--limits-timeout", "2s")
	awaitShared(t, verifiers)

	before := hammer(t, verifiers, tn.key, func(counts map[string]int) bool { return counts["VALID"] >= 500 })
	outage.begin(server)
	// The first may have been decided by what was at hand.
	away := hammer(t, verifiers, tn.key, func(counts map[string]int) bool { return total(counts) >= 1000 })
	during := hammer(t, verifiers, tn.key, func(counts map[string]int) bool { return total(counts) >= 500 })
	outage.end(server)
	awaitUp(t, verifiers)
	after := hammer(t, verifiers, tn.key, dry(2500))
	t.Logf("admitted %d, then %d and %d while it was away, then %d", before["VALID"], away["VALID"], during["VALID"], after["VALID"])

	sum := before["VALID"] + away["VALID"] + during["VALID"] + after["VALID"]
	switch policy {
	case "open":
		if during["VALID"] != total(during) {
			t.Errorf("while it was away: %v", during)
		}
		if sum > limit && after["VALID"] > 0 {
			t.Errorf("%d of %d were admitted while it was away, and %d more once it was back", sum, limit, after["VALID"])
		}
	case "closed":
		if during["VALID"] > 0 || during["LIMITS_UNAVAILABLE"] != total(during) {
			t.Errorf("while it was away: %v", during)
		}
		within(t, sum, consistency)
	default:
		if away["VALID"]+during["VALID"] == 0 {
			t.Errorf("nobody was admitted while it was away: %v %v", away, during)
		}
		within(t, sum, consistency)
	}
	if after["LIMITS_UNAVAILABLE"] > 0 || after["RATE_LIMITED"] == 0 {
		t.Errorf("once it was back: %v", after)
	}
	// And whoever was not there before is held to the limit exactly.
	again := hammer(t, verifiers, tn.other, dry(2500))
	if got := again["VALID"]; got < limit || consistency == "Strict" && got > limit || got > limit+limit/100 {
		t.Errorf("of a key that nobody had used, %d requests of %d were admitted: %v", got, limit, again)
	}
}

// within allows for what nobody can know: of Strict what was under way when the server went; of Leased what lay in
// leases then, and what each verifier had not yet heard of the others. That is about a second of demand, which
// in this test is a quarter of the limit and more.
func within(t *testing.T, admitted int, consistency string) {
	t.Helper()
	slack := limit / 100
	if consistency == "Leased" {
		slack = limit / 2
	}
	if admitted > limit+slack || admitted < limit-slack {
		t.Errorf("of %d it admitted %d", limit, admitted)
	}
}

const limit = 1500

func total(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
