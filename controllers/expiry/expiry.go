// Package expiry tells Prometheus how many keys end soon and how many nobody uses, by workspace. It counts
// when it is asked, over the operator's cache.
package expiry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// scrapeTimeout bounds how long the cache is waited for, which is not long unless it is not synced yet.
const scrapeTimeout = 5 * time.Second

var (
	expiring = prometheus.NewDesc("claviger_keys_expiring",
		"Active keys that end within a time, of those that their workspace warns at, and are not rotated before.",
		[]string{"namespace", "workspace", "within"}, nil)
	unused = prometheus.NewDesc("claviger_keys_unused",
		"Active keys that nobody has used for as long as their workspace asks about.",
		[]string{"namespace", "workspace"}, nil)
)

// Collector counts keys. Only where Leads is closed does it tell: of several operators one is enough, and sums over all
// would be wrong.
type Collector struct {
	Cached client.Reader
	Clock  clock.PassiveClock
	Leads  <-chan struct{}
}

// Describe says what there is.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- expiring
	descriptions <- unused
}

// Collect counts. A cache that cannot be read is told as what it is, an error of the scrape.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.Leads:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var workspaces v1alpha1.WorkspaceList
	var keys v1alpha1.ApiKeyList
	for _, list := range []client.ObjectList{&workspaces, &keys} {
		if err := c.Cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil { // they are only looked at, and may be many
			metrics <- prometheus.NewInvalidMetric(expiring, fmt.Errorf("keys cannot be counted: %w", err))
			return
		}
	}
	counts := count(workspaces.Items, keys.Items, c.Clock.Now())
	for at, n := range counts {
		for warning, keys := range n.within {
			metrics <- prometheus.MustNewConstMetric(expiring, prometheus.GaugeValue, float64(keys), at.Namespace, at.Name, hours(warning))
		}
		metrics <- prometheus.MustNewConstMetric(unused, prometheus.GaugeValue, float64(n.unused), at.Namespace, at.Name)
	}
}

// counted is what was counted for one workspace.
type counted struct {
	within map[time.Duration]int
	unused int
}

// count is pure.
func count(workspaces []v1alpha1.Workspace, keys []v1alpha1.ApiKey, now time.Time) map[client.ObjectKey]*counted {
	counts := make(map[client.ObjectKey]*counted, len(workspaces))
	for i := range workspaces {
		n := &counted{within: map[time.Duration]int{}}
		for _, warning := range workspaces[i].ExpiryWarnings() {
			n.within[warning] = 0
		}
		counts[client.ObjectKeyFromObject(&workspaces[i])] = n
	}
	for i := range keys {
		key := &keys[i]
		n := counts[client.ObjectKey{Namespace: key.Namespace, Name: key.Spec.WorkspaceRef.Name}]
		if n == nil || key.Status.State != v1alpha1.ReasonActive {
			continue
		}
		if meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionUnused) {
			n.unused++
		}
		left, ends := untilEnd(key, now)
		for warning := range n.within {
			if ends && left <= warning {
				n.within[warning]++
			}
		}
	}
	return counts
}

// untilEnd is how long a key has still to live; false: it has ended, has no end, or is rotated before.
func untilEnd(key *v1alpha1.ApiKey, now time.Time) (time.Duration, bool) {
	end := key.Status.ExpiresAt
	if end == nil || !now.Before(end.Time) {
		return 0, false
	}
	if r := key.Status.Rotation; r != nil && r.NextAt != nil && r.NextAt.Before(end) {
		return 0, false
	}
	return end.Sub(now), true
}

// hours writes a duration as people do: 336h.
func hours(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
