// Package feed keeps a keyindex true to a cluster: a reflector for each of Claviger's kinds and
// for the hashed Secrets, over a store that hands what it sees straight to the index.
//
// The index is believed only once every object that there was at the start has reached it. From
// then on the feed goes on with what it has: while the API server is away nothing is
// taken back, and when it returns the reflectors catch up within seconds.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=claviger-system,resources=secrets,verbs=get;list;watch
package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/internal/keyindex"
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
	// Clock is the time; nil: the system's.
	Clock clock.WithTicker
}

// Feed feeds an index.
type Feed struct {
	log        logr.Logger
	clock      clock.WithTicker
	parts      []*part
	contacts   *contacts
	emptyLists *prometheus.CounterVec
	synced     atomic.Bool // once true, always true
}

// part is the feeding of one kind.
type part struct {
	name string
	live func() bool // a whole list has reached the index
	run  func(context.Context)
}

// New makes a Feed. Nothing is asked of the API server before Run.
func New(o Options) (*Feed, error) {
	if o.Config == nil || o.Index == nil || o.Namespace == "" {
		return nil, errors.New("feed: Options.Config, Namespace and Index must all be set")
	}
	f := &Feed{log: o.Log, clock: o.Clock, emptyLists: newEmptyLists()}
	if f.clock == nil {
		f.clock = clock.RealClock{}
	}
	if err := f.build(o); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if o.Registerer != nil {
		if err := f.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("feed: registering metrics: %w", err)
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
		add(f, config, over, workspaces(x)),
		add(f, config, over, serviceAccounts(x)),
		add(f, config, over, keyLimits(x)),
		add(f, config, over, apiKeys(x)),
		add(f, config, over, secrets(x, o.Namespace)),
	)
}

func add[Object client.Object, ID comparable](f *Feed, config *rest.Config, over *http.Client, k kind[Object, ID]) error {
	store := &store[Object, ID]{kind: k, log: f.log}
	from, err := newSource(config, over, k.resource, store.collect)
	if err != nil {
		return err
	}
	f.parts = append(f.parts, &part{name: k.name, live: store.live.Load, run: func(ctx context.Context) {
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
	var running sync.WaitGroup
	for _, p := range f.parts {
		running.Go(func() { p.run(ctx) })
	}
	running.Wait()
	return nil
}

// Ready says what is missing until everything that there was at the start is in the index.
// It never goes back: what came to be known stays known when the API server is away.
func (f *Feed) Ready() error {
	if f.synced.Load() {
		return nil
	}
	var missing []string
	for _, p := range f.parts {
		if !p.live() {
			missing = append(missing, p.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("waiting for the API server to list %s", strings.Join(missing, ", "))
	}
	f.synced.Store(true)
	return nil
}
