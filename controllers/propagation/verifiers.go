// Package propagation knows how far the verifiers have come: whether all of them have taken in a
// version of a resource, so that a revocation is known to hold everywhere and a new key to be
// known before the old one goes.
//
// +kubebuilder:rbac:urls=/applied,verbs=get
package propagation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/applied"
)

const (
	// lookEvery is how often verifiers are asked while somebody waits for them, give or take lookJitter.
	lookEvery  = 250 * time.Millisecond
	lookJitter = 50 * time.Millisecond
	// awaitedFor is how long somebody who asked counts as waiting.
	awaitedFor = 10 * time.Second
	// idleEvery is how often they are asked otherwise, so that the metric and Alone tell the truth.
	idleEvery = time.Minute
	// freshFor is how long what verifiers told is worth something: a healthy look takes milliseconds.
	freshFor = 5 * time.Second
)

// Options for New.
type Options struct {
	// VerifierURLs are the verifiers' protected ports. Each of the addresses that a URL's host has is a
	// verifier of its own, so that one headless Service names all of its pods.
	VerifierURLs []string
	// CAFile and TokenFile are as those of verifierclient.Options.
	CAFile, TokenFile string
	// Clock is the real one where it is nil.
	Clock   clock.Clock
	Metrics prometheus.Registerer
	Log     logr.Logger
}

// Verifiers is a Runnable for a manager.
type Verifiers struct {
	options Options
	log     logr.Logger
	clock   clock.Clock
	metrics metrics
	// wanted has one when somebody has asked.
	wanted chan struct{}

	mu     sync.Mutex // guards asked and newest
	asked  time.Time
	newest look

	// Of the one goroutine that looks.
	everyone *Everyone
	trouble  string
}

// look is what one round of questions has brought.
type look struct {
	began time.Time
	// reports are by the process that gave them: one may have several addresses.
	reports map[string]applied.Report
	// unknown says that there may be verifiers which did not tell.
	unknown bool
}

// New makes a Verifiers. The error says which option cannot be used.
func New(o Options) (*Verifiers, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	everyone, err := NewEveryone(o.VerifierURLs, o.CAFile, o.TokenFile, o.Clock)
	if err != nil {
		return nil, err
	}
	v := &Verifiers{
		options: o, log: o.Log, clock: o.Clock, metrics: newMetrics(),
		wanted: make(chan struct{}, 1), everyone: everyone,
	}
	return v, v.metrics.register(o.Metrics)
}

// Reached says whether every verifier that lives has applied a version of a resource, and how many there
// are, as far as is known at the moment: it waits for nothing, and whoever waits asks again. Where one
// may live that does not tell, and where none does, it has not been reached.
func (v *Verifiers) Reached(resource, version string) (all bool, verifiers int) {
	now := v.clock.Now()
	v.mu.Lock()
	v.asked = now
	newest := v.newest
	v.mu.Unlock()
	select {
	case v.wanted <- struct{}{}:
	default:
	}
	verifiers = len(newest.reports)
	if verifiers == 0 || newest.unknown || now.Sub(newest.began) > freshFor {
		return false, verifiers
	}
	for _, report := range newest.reports {
		if !report.Reached(resource, version) {
			return false, verifiers
		}
	}
	return true, verifiers
}

// Alone says that there is one verifier and no other, as far as was seen a minute or so ago. What one
// counts is all that there is to know of usage only then.
func (v *Verifiers) Alone() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.newest.reports) == 1 && !v.newest.unknown && v.clock.Since(v.newest.began) <= 2*idleEvery
}

// RevocationSeen notes how long it took until a revocation had reached all verifiers.
func (v *Verifiers) RevocationSeen(lag time.Duration) { v.metrics.lag.Observe(lag.Seconds()) }

// Start asks the verifiers until ctx ends: often while somebody waits, else seldom.
func (v *Verifiers) Start(ctx context.Context) error {
	for {
		v.look(ctx)
		pause, wanted := idleEvery, v.wanted
		if v.isAwaited() {
			pause, wanted = lookEvery-lookJitter+rand.N(2*lookJitter), nil
		}
		timer := v.clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			v.everyone.Close()
			return nil
		case <-wanted:
			timer.Stop()
		case <-timer.C():
		}
	}
}

// NeedLeaderElection says that it works for the controllers, which only the leader runs.
func (v *Verifiers) NeedLeaderElection() bool { return true }

func (v *Verifiers) isAwaited() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.asked.IsZero() && v.clock.Since(v.asked) < awaitedFor
}
