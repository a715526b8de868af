// Package feed keeps a keyindex true to a cluster: a reflector for each of Claviger's kinds and
// for the hashed Secrets, over a store that hands what it sees straight to the index.
//
// The index is believed only once every object that there was at the start has reached it. From
// then on the feed goes on with what it has: while the API server is away nothing is
// taken back, and when it returns the reflectors catch up within seconds. What it has is also kept on disk, and
// believed at the start until the API server answers.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=claviger-system,resources=secrets,verbs=get;list;watch
package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/snapshot"
)

// Options are what a Feed is made of.
type Options struct {
	// Config is how to reach the API server. Its client-side throttling is turned off.
	Config *rest.Config
	// Namespace is the operator's: the one with the hashed Secrets.
	Namespace string
	// Index is kept true.
	Index *keyindex.Index
	Log   logr.Logger
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// SnapshotDir is where the index is kept on disk, to start from while the API server is away;
	// empty: nowhere.
	SnapshotDir string
	// MaxStaleness is for how long the index is believed when the API server is not heard of; zero: forever. It
	// speaks about every minute, so less than two is refused.
	MaxStaleness time.Duration
	// Clock is the time; nil: the system's.
	Clock clock.WithTicker
}

// Feed feeds an index.
type Feed struct {
	log          logr.Logger
	clock        clock.WithTicker
	index        *keyindex.Index
	parts        []*part
	contacts     *contacts
	emptyLists   *prometheus.CounterVec
	synced       atomic.Bool // with the API server; once true, always true
	queue        *queue
	held         atomic.Pointer[barrier]
	keeper       *snapshot.Keeper
	restored     atomic.Pointer[restored]
	maxStaleness time.Duration
}

// part is the feeding of one kind.
type part struct {
	name string
	live func() bool // a whole list has reached the index
	// applied is the resource version up to which everything is in the index; nil: no list is.
	applied func() *string
	run     func(context.Context, *barrier)
}

// New makes a Feed. Nothing is asked of the API server before Run.
func New(o Options) (*Feed, error) {
	if o.Config == nil || o.Index == nil || o.Namespace == "" {
		return nil, errors.New("feed: Options.Config, Namespace and Index must all be set")
	}
	if o.MaxStaleness < 0 || 0 < o.MaxStaleness && o.MaxStaleness < quiet {
		return nil, fmt.Errorf("feed: MaxStaleness must be 0 or at least 2m, because an API server with nothing to tell speaks about every minute; it is %s", o.MaxStaleness)
	}
	f := &Feed{log: o.Log, clock: o.Clock, index: o.Index, emptyLists: newEmptyLists(), maxStaleness: o.MaxStaleness}
	if f.clock == nil {
		f.clock = clock.RealClock{}
	}
	f.queue = newQueue(f.clock)
	if err := f.build(o); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if o.Registerer != nil {
		if err := f.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("feed: registering metrics: %w", err)
		}
	}
	if o.SnapshotDir != "" {
		if err := f.keepSnapshots(o); err != nil {
			return nil, fmt.Errorf("feed: %w", err)
		}
	}
	return f, nil
}

func (f *Feed) build(o Options) error {
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // API Priority and Fairness is there for that
	f.contacts = newContacts(f.log, f.clock, resources)
	config.Wrap(f.contacts.wrap)
	over, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	x := o.Index
	return errors.Join(
		add(f, config, over, throughQueue(f.queue, workspaces(x))),
		add(f, config, over, throughQueue(f.queue, serviceAccounts(x))),
		add(f, config, over, throughQueue(f.queue, keyLimits(x))),
		add(f, config, over, apiKeys(x)),
		add(f, config, over, secrets(x, o.Namespace)),
	)
}

func add[Object client.Object, ID comparable](f *Feed, config *rest.Config, over *http.Client, k kind[Object, ID]) error {
	contact := f.contacts.byResource[k.name]
	store := &store[Object, ID]{kind: k, log: f.log, heard: func() { f.contacts.took(contact) }}
	from, err := newSource(config, over, k.resource, store.collect)
	if err != nil {
		return err
	}
	from.begins = func() { contact.following.Store(false) }
	from.told = func() { f.contacts.told(contact) }
	f.parts = append(f.parts, &part{name: k.name, live: store.live.Load, applied: store.applied.Load, run: func(ctx context.Context, held *barrier) {
		store.held, store.holding = held, held != nil
		store.confirmEmpty = func() error { return f.confirmEmpty(ctx, from) }
		follow(ctx, from, k.empty(), store, func(err error) { f.troubled(k.name, err) })
	}})
	return nil
}

// troubled tells of what contacts did not: an answer that cannot be used.
func (f *Feed) troubled(resource string, err error) {
	if !f.contacts.byResource[resource].failing.Load() {
		f.log.Error(err, "what the API server listed is not used; serving what is known, and trying again", "resource", resource)
	}
}

// Run feeds the index until the context ends.
func (f *Feed) Run(ctx context.Context) error {
	held, err := f.restore()
	if err != nil {
		f.log.Error(err, "starting without a snapshot")
	}
	f.held.Store(held)
	var reflectors, changes, snapshots sync.WaitGroup
	for _, p := range f.parts {
		reflectors.Go(func() { p.run(ctx, held) })
	}
	changes.Go(f.queue.run)
	// The last snapshot has in it what was known at the end.
	whole, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	if f.keeper != nil {
		snapshots.Go(func() { f.keeper.Run(whole) })
	}
	reflectors.Wait()
	f.queue.close()
	changes.Wait()
	done()
	snapshots.Wait()
	if f.keeper == nil {
		return nil
	}
	return f.keeper.Dir.Close()
}
