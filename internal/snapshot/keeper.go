package snapshot

import (
	"context"
	"io"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// Subject is what snapshots are made of.
type Subject interface {
	// Encode writes it.
	Encode(io.Writer) error
	// Changes is another number after each change.
	Changes() uint64
}

// How often a keeper looks for changes, and with it how long a change waits at least.
const interval = time.Second

const (
	// Writing takes at most a tenth of the time while changes keep coming,
	restFactor = 10
	// but each is on the disk after this time,
	maxRest = time.Minute
	// and what failed is tried again after this.
	retryAfter = 10 * time.Second
	touchEvery = 10 * time.Second
)

// Keeper writes a snapshot soon after something has changed.
//
// A change is lost if the process is killed before it is written, a second later where snapshots are small. A key that
// was revoked in this time works again if the verifier then starts while the API server is still away,
// until that is back. A process that is asked to end writes first.
type Keeper struct {
	Dir     *Dir
	Subject Subject
	// Contact is when the API server was last heard of, for the whole of the subject; false: it is not whole.
	Contact func() (time.Time, bool)
	Clock   clock.WithTicker
	Log     logr.Logger
	Metrics *Metrics

	written uint64 // the changes that are on the disk
	ever    bool   // anything is
	rest    time.Time
	touched time.Time
	failing bool
}

// Run keeps the snapshot until ctx ends, and writes what is new then.
func (k *Keeper) Run(ctx context.Context) {
	ticker := k.Clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
			k.look(false)
		case <-ctx.Done():
			k.look(true)
			return
		}
	}
}

// look writes what is due.
func (k *Keeper) look(last bool) {
	// In this order: whatever is heard of or changes from here on is for the next time.
	contact, whole := k.Contact()
	changes := k.Subject.Changes()
	now := k.Clock.Now()
	switch resting := now.Before(k.rest) && k.rest.Sub(now) <= maxRest; { // the clock may have been set back
	case !whole || resting && !last:
	case !k.ever || changes != k.written:
		k.write(contact, changes)
	case last || now.Sub(k.touched) >= touchEvery || now.Before(k.touched):
		k.touched = now
		k.tell(k.Dir.Touch(contact))
	}
}

func (k *Keeper) write(contact time.Time, changes uint64) {
	began := k.Clock.Now()
	size, err := k.Dir.Write(contact, k.Subject.Encode)
	ended := k.Clock.Now()
	k.tell(err)
	if err != nil {
		k.rest = ended.Add(retryAfter)
		return
	}
	k.written, k.ever, k.touched = changes, true, ended
	k.rest = ended.Add(min(restFactor*ended.Sub(began), maxRest))
	k.Metrics.size.Set(float64(size))
	k.Metrics.writtenAt.Set(float64(ended.UnixNano()) / 1e9)
}

// tell tells of a failure once, and of its end.
func (k *Keeper) tell(err error) {
	switch {
	case err != nil:
		k.Metrics.failures.Inc()
		if !k.failing {
			k.Log.Error(err, "the snapshot cannot be written; requests are answered all the same, and it is tried again, but a verifier that is started without the API server will answer from an older state")
		}
	case k.failing:
		k.Log.Info("the snapshot is written again")
	}
	k.failing = err != nil
}

// Metrics are what a keeper is measured by.
type Metrics struct {
	size, writtenAt prometheus.Gauge
	failures        prometheus.Counter
}

// NewMetrics makes the metrics; nil: they are kept from view.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		size: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_snapshot_size_bytes", Help: "Size of the snapshot that was written last.",
		}),
		writtenAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "claviger_snapshot_written_timestamp_seconds", Help: "When a snapshot was last written; it is written only after changes.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_snapshot_errors_total", Help: "Attempts to write a snapshot that failed.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.size, m.writtenAt, m.failures} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
