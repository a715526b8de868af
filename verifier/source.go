package verifier

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/internal/feed"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/manifests"
)

// Source is where a verifier's keys come from: a Cluster or a Directory.
type Source interface {
	// open makes what keeps an index true. It waits for nobody who may be away.
	open(parts) (follower, error)
}

// follower keeps an index true.
type follower interface {
	// Run goes on until the context ends. What it returns before is a fault that it cannot mend.
	Run(context.Context) error
	// Ready says what is missing until the index may be believed.
	Ready() error
}

// parts are what a Source needs of the verifier that it feeds.
type parts struct {
	index      *keyindex.Index
	log        logr.Logger
	registerer prometheus.Registerer
	now        func() time.Time
}

// Cluster takes keys from Kubernetes. It watches the four kinds in all namespaces, and the hashes
// in one; the roles for that are in config/rbac/verifier_role.yaml.
type Cluster struct {
	// Config is how to reach the API server, as controller-runtime's config.GetConfig or client-go's
	// rest.InClusterConfig find it.
	Config *rest.Config
	// Namespace is the operator's, which the hashes are in; usually claviger-system.
	Namespace string
	// SnapshotDir is where the keys' hashes are kept on disk, to start from while the API server is
	// away; empty: nowhere. Two verifiers cannot share one.
	SnapshotDir string
	// MaxStaleness is for how long keys are believed when the API server is not heard of; zero: forever. It
	// speaks about every minute, so less than two is refused. It is Ready that says so: whoever calls Verify
	// without the doors of httpapi and extauthz asks Ready before.
	MaxStaleness time.Duration
}

func (c Cluster) open(p parts) (follower, error) {
	return feed.New(feed.Options{
		Config: c.Config, Namespace: c.Namespace, SnapshotDir: c.SnapshotDir, MaxStaleness: c.MaxStaleness,
		Index: p.index, Log: p.log.WithName("feed"), Registerer: p.registerer,
	})
}

// Directory takes keys from a directory of manifests, without a cluster, and follows its changes.
type Directory string

func (d Directory) open(p parts) (follower, error) {
	return manifests.New(manifests.Options{
		Directory: string(d),
		Index:     p.index, Log: p.log.WithName("manifests"), Registerer: p.registerer, Now: p.now,
	})
}

// Run keeps the keys true until the context ends. It returns sooner only with a fault that it
// cannot mend; that an API server is away is none.
func (v *Verifier) Run(ctx context.Context) error {
	if v.keeper != nil {
		var keeping sync.WaitGroup
		keeping.Go(func() { v.keeper.Run(ctx) })
		defer v.keepRest(ctx, &keeping)
	}
	if v.shared != nil {
		var sharing sync.WaitGroup
		sharing.Go(func() { v.shared.run(ctx) })
		defer sharing.Wait()
	}
	if v.keys == nil {
		<-ctx.Done()
		return nil
	}
	return v.keys.Run(ctx)
}

// keepTimeout is what a disk gets to take what was counted last.
const keepTimeout = 10 * time.Second

// keepRest keeps what was counted last, once nothing is counted any more: whoever ends Run has closed the doors.
func (v *Verifier) keepRest(ctx context.Context, keeping *sync.WaitGroup) {
	keeping.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := v.keeper.Keep(ctx); err != nil {
		v.log.Error(err, "What was used of the limits last is lost")
	}
}

// Ready says what is missing before keys are known, and then nil. Until then a good key would be
// called invalid, so ask no sooner.
func (v *Verifier) Ready() error {
	if v.keys == nil {
		return nil
	}
	return v.keys.Ready()
}

// Note is what an operator should know while the verifier is ready, such as how old its knowledge
// is; mostly empty.
func (v *Verifier) Note() string {
	if noting, ok := v.keys.(interface{ Note() string }); ok {
		return noting.Note()
	}
	return ""
}

// Applied are the resource versions up to which everything is in effect, by the plural name of the resource. What
// no cluster has listed is missing.
func (v *Verifier) Applied() map[string]string {
	if following, ok := v.keys.(interface{ Applied() map[string]string }); ok {
		return following.Applied()
	}
	return nil
}

// WaitReady waits until Ready says so, or the context ends; then the error says what is missing.
func (v *Verifier) WaitReady(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := v.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}
