// Package usage shows on each object of the four kinds what the verifiers have counted for it. The
// leader alone does that: it reads from the verifier which of them changed and writes status.usage,
// seldom and within a budget, because a status write costs the API server more than a
// thousand verified requests cost the verifier.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces/status;apikeys/status;serviceaccounts/status;keylimits/status,verbs=patch
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:urls=/usage;/usage/groups;/limits,verbs=get
package usage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/controllers/propagation"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Options for New.
type Options struct {
	// Client reads from a cache with the indexes of package fieldindex. Informers are those of that cache.
	Client    client.Client
	Informers cache.Informers
	// Writer writes statuses; nil: Client does. It should be made by NewWriter.
	Writer client.Client
	// Events get told when a key has used up a quota or a budget.
	Events events.EventRecorder
	// VerifierURLs are the verifiers' protected ports, and CAFile the authority that their certificates are
	// checked against. Of the first usage is read, and of the others only where it is stored in one place; all of them are
	// asked until when they have stored it.
	VerifierURLs []string
	CAFile       string
	// TokenFile holds the token that is shown to the verifier. It should be good for nothing
	// else: see usagefeed.Audience.
	TokenFile string
	// Interval is how often the verifier is asked.
	Interval time.Duration
	// WritesPerSecond is the budget for all statuses together.
	WritesPerSecond float64
	Metrics         prometheus.Registerer
	Log             logr.Logger
	// Clock is the real one where it is nil.
	Clock clock.Clock
}

// WriteBack is a Runnable for a manager. It runs only on the leader.
type WriteBack struct {
	log       logr.Logger
	clock     clock.Clock
	interval  time.Duration
	keys      cursor[usagefeed.Key]
	limits    cursor[usagefeed.Limit]
	groups    cursor[usagefeed.Group]
	verifiers *verifiers
	informers cache.Informers
	statuses  statuses
	events    events.EventRecorder
	metrics   metrics

	mu        sync.Mutex // guards schedule, known and announced
	schedule  *schedule
	known     known
	announced announced
	observed  chan struct{} // has one when something new is in the schedule
}

// New makes a WriteBack. The error says which option cannot be used.
func New(o Options) (*WriteBack, error) {
	if o.Interval <= 0 {
		return nil, fmt.Errorf("--usage-interval must be more than 0, for example 10s; it is %v", o.Interval)
	}
	if o.WritesPerSecond <= 0 {
		return nil, fmt.Errorf("--usage-writes-per-second must be more than 0, for example 20; it is %v (to write nothing back leave --verifier-url empty)", o.WritesPerSecond)
	}
	feed, err := newFeed(o.VerifierURLs, o.CAFile, o.TokenFile)
	if err != nil {
		return nil, err
	}
	if o.Writer == nil {
		o.Writer = o.Client
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	everyone, err := propagation.NewEveryone(o.VerifierURLs, o.CAFile, o.TokenFile, o.Clock)
	if err != nil {
		return nil, err
	}
	w := &WriteBack{
		log: o.Log, clock: o.Clock, interval: o.Interval,
		informers: o.Informers,
		statuses:  statuses{client: o.Client, writer: o.Writer},
		events:    o.Events,
		metrics:   newMetrics(),
		schedule:  newSchedule(o.WritesPerSecond, func() time.Duration { return rand.N(writeJitter) }),
		known:     newKnown(),
		announced: announced{},
		observed:  make(chan struct{}, 1),
		verifiers: newVerifiers(everyone.Ask, max(o.Interval, slowestRead), o.Log),
	}
	w.keys.read, w.limits.read, w.groups.read = feed.keys, feed.limits, feed.groups
	return w, w.metrics.register(o.Metrics)
}

// Start reads and writes until ctx ends.
func (w *WriteBack) Start(ctx context.Context) error {
	if err := w.watchStatuses(ctx); err != nil {
		return err
	}
	var writing sync.WaitGroup
	writing.Go(func() { w.writeAll(ctx) })
	w.readAll(ctx)
	writing.Wait()
	return nil
}

// NeedLeaderElection says that one replica is enough, and more would only compete.
func (w *WriteBack) NeedLeaderElection() bool { return true }

// sleep returns false when ctx ended first.
func (w *WriteBack) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-w.clock.After(d):
		return true
	}
}
