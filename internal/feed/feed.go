// Package feed keeps a keyindex true to a cluster: informers on Claviger's kinds and on the
// hashed Secrets, each with an adapter that tells the index what it saw.
//
// The index is believed only once every object that there was at the start has reached it. From
// then on the feed goes on with what it has: while the API server is away nothing is
// taken back, and when it returns the informers catch up, at the latest a minute after.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=claviger-system,resources=secrets,verbs=get;list;watch
package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
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
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Feed feeds an index.
type Feed struct {
	cache    cache.Cache
	index    *keyindex.Index
	log      logr.Logger
	handlers []handler
	synced   atomic.Bool // once true, always true
	contacts *contacts
}

// handler is the registration of one kind's adapter.
type handler struct {
	resource string
	toolscache.ResourceEventHandlerRegistration
}

// New makes a Feed. Nothing is asked of the API server before Run.
func New(o Options) (*Feed, error) {
	if o.Config == nil || o.Index == nil || o.Namespace == "" {
		return nil, errors.New("feed: Options.Config, Namespace and Index must all be set")
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	f := &Feed{index: o.Index, log: o.Log, contacts: newContacts(o.Log, now)}
	config := rest.CopyConfig(o.Config)
	config.QPS = -1 // API Priority and Fairness is there for that
	config.Wrap(f.contacts.wrap)

	var err error
	if f.cache, err = cache.New(config, cacheOptions(o.Namespace)); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if err := f.handle(); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if o.Registerer != nil {
		if err := f.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("feed: registering metrics: %w", err)
		}
	}
	return f, nil
}

// Run feeds the index until the context ends.
func (f *Feed) Run(ctx context.Context) error { return f.cache.Start(ctx) }

// Ready says what is missing until everything that there was at the start is in the index.
// It never goes back: what came to be known stays known when the API server is away.
func (f *Feed) Ready() error {
	if f.synced.Load() {
		return nil
	}
	var missing []string
	for _, h := range f.handlers {
		// Not the informer's own HasSynced: that is true before the adapter has run.
		if !h.HasSynced() {
			missing = append(missing, h.resource)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("waiting for the API server to list %s", strings.Join(missing, ", "))
	}
	f.synced.Store(true)
	return nil
}

// handle registers an adapter for each kind.
func (f *Feed) handle() error {
	return errors.Join(
		register(f, workspaces, f.index.SetWorkspace, named[*v1alpha1.Workspace](f.index.DeleteWorkspace)),
		register(f, serviceAccounts, f.index.SetServiceAccount, named[*v1alpha1.ServiceAccount](f.index.DeleteServiceAccount)),
		register(f, keyLimits, f.index.SetKeyLimit, named[*v1alpha1.KeyLimit](f.index.DeleteKeyLimit)),
		register(f, apiKeys, f.setApiKey, func(k *v1alpha1.ApiKey) { f.index.DeleteApiKey(k.UID) }),
		register(f, secrets, f.setSecret, f.deleteSecret),
	)
}

func named[Object client.Object](remove func(types.NamespacedName)) func(Object) {
	return func(object Object) { remove(client.ObjectKeyFromObject(object)) }
}

func register[Object client.Object](f *Feed, k kind, set func(Object), remove func(Object)) error {
	// Nothing is started yet, so there is nothing to wait for or to cancel.
	informer, err := f.cache.GetInformer(context.Background(), k.object, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(adapter(set, remove))
	if err != nil {
		return err
	}
	f.handlers = append(f.handlers, handler{k.resource, registration})
	return nil
}

func (f *Feed) setApiKey(k *v1alpha1.ApiKey) {
	if err := f.index.SetApiKey(k); err != nil {
		f.log.Error(err, "an ApiKey will not work")
	}
}

// setSecret takes a Secret that cannot be understood for one that is gone.
func (f *Feed) setSecret(secret *corev1.Secret) {
	c, err := credential.FromSecret(secret)
	if err == nil {
		err = f.index.SetCredential(c)
	}
	if err != nil {
		f.log.Error(err, "a hashed Secret is unusable and its key will not work; delete the Secret, and the operator makes a new key", "secret", secret.Name)
		f.deleteSecret(secret)
	}
}

func (f *Feed) deleteSecret(secret *corev1.Secret) {
	if uid, generation, ok := credential.ParseName(secret.Name); ok {
		f.index.DeleteCredential(uid, generation)
	}
}
