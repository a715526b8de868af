// Package limitstore is what the places where limits are counted have in common: local, in this
// process; valkey, shared by several verifiers; and leased, in this process out of slices of what
// is shared.
package limitstore

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

// Counter names what is counted: a rule, for one subject. It is the same in every verifier.
type Counter struct {
	// Tag is what keeps together in a cluster all that a request may ask for: the UID of the key's Workspace.
	Tag string
	// Rule is the UID of the KeyLimit and which of its rules it is.
	Rule string
	// RuleHash is HashOf the Rule, or zero where nobody has computed it. It spares reading the name to find what belongs to
	// the counter, and means nothing in another process.
	RuleHash uint64
	// Subject is whose requests are counted.
	Subject uint64
}

var seed = maphash.MakeSeed()

// HashOf spreads names of rules. It is seeded, since the UIDs in them are for tenants to choose among.
func HashOf(rule string) uint64 { return maphash.String(seed, rule) }

// Draw asks for a part of what is left of a counter, to be used later.
type Draw struct {
	Counter Counter
	Rule    *limit.Rule
	// Known is what this process knows of the counter. It is brought up to date, and where the store
	// has forgotten the counter it goes on from there.
	Known *limit.Bucket
	// Used was used beyond what had been granted, and is counted whether or not it fits. Less than nothing
	// gives back what was granted and not used, if it was in the span or period that Epoch names.
	Used  int64
	Epoch int64
	// Want is how much is asked for; as much is granted as there is, and for Want of zero nothing.
	Want int64
}

// Grant is the answer to a Draw.
type Grant struct {
	Amount int64
	// Epoch names the span or period that it is granted in, and Until is when that is over and what
	// is not used of it is void; zero for Tokens, which have none.
	Epoch int64
	Until time.Time
	// Left is what the counter has left for others, and for the next Draw.
	Left int64
	// ResetAt is when the counter is whole again, and RetryAt when it is worth asking again where nothing
	// was granted.
	ResetAt, RetryAt time.Time
}

// Drawer grants. All draws of one call have the same Place. An error means that nobody knows what
// became of any of them.
type Drawer interface {
	// Place is where the counters of a Tag are. Those of one place can be drawn for together, and are reached, or not,
	// together. It is quick.
	Place(tag string) string
	Draw(ctx context.Context, now time.Time, draws []Draw) ([]Grant, error)
	// Verifiers is how many share the counters, as far as is known: at least 1.
	Verifiers() int
}
