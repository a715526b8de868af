package feed

import (
	"errors"
	"io"
	"time"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/snapshot"
)

// restored is the snapshot that the index began with.
type restored struct {
	contact time.Time     // when the API server was last heard of for it
	age     time.Duration // how long ago that was when it was loaded
	at      time.Time     // when it was loaded
}

func (f *Feed) keepSnapshots(o Options) error {
	metrics, err := snapshot.NewMetrics(o.Registerer)
	if err != nil {
		return err
	}
	dir, err := snapshot.Open(o.SnapshotDir, o.Config.Host+" "+o.Namespace)
	if err != nil {
		return err
	}
	f.keeper = &snapshot.Keeper{
		Dir: dir, Subject: f.index, Contact: f.wholeSince, Clock: f.clock, Log: f.log.WithName("snapshot"), Metrics: metrics,
	}
	return nil
}

// wholeSince is when the API server was last heard of, once all of the index is from there: what a snapshot
// is made of is never a mixture. What still waits in the queue was not heard for it.
func (f *Feed) wholeSince() (time.Time, bool) {
	age, heard := f.age()
	return f.clock.Now().Add(-age), heard && f.live()
}

// restore fills the index from the snapshot, before anything else can reach it. The barrier holds back what the API
// server lists until that is whole; nil: there was no snapshot to serve from.
func (f *Feed) restore() (*barrier, error) {
	if f.keeper == nil {
		return nil, nil
	}
	var loaded *keyindex.Index
	contact, err := f.keeper.Dir.Load(func(r io.Reader) (err error) {
		loaded, err = keyindex.Decode(r)
		return err
	})
	if errors.Is(err, snapshot.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !f.index.Adopt(loaded) {
		return nil, errors.New("the snapshot is not used, because the index holds something already")
	}
	now := f.clock.Now()
	r := &restored{contact: contact, age: max(0, now.Sub(contact)), at: now}
	if contact.After(now.Add(clockTolerance)) {
		r.age = forever
	}
	f.restored.Store(r)
	f.log.Info("Serving from a snapshot until the API server answers", "contact", contact.UTC().Format(time.RFC3339))
	return newBarrier(resources), nil
}
