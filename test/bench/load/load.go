package load

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a number of connections to one server, and what is asked over them.
type Load struct {
	Peers   []Peer
	Records Records
	// Hot is how many of the records, from the first on, are asked for; each is as likely.
	Hot int
}

// Open connects so many times. The Load is to be closed.
func Open(connections int, connect func() (Peer, error), records Records, hot int) (*Load, error) {
	l := &Load{Records: records, Hot: hot}
	for range connections {
		peer, err := connect()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.Peers = append(l.Peers, peer)
	}
	return l, nil
}

// Close closes all connections.
func (l *Load) Close() error {
	var errs []error
	for _, p := range l.Peers {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// Saturate asks over every connection, each time as soon as the answer is there, for so long.
// It returns how many were answered, and in how long.
func (l *Load) Saturate(slice time.Duration) (count int64, took time.Duration, err error) {
	var answered atomic.Int64
	var enough atomic.Bool
	start := time.Now()
	timer := time.AfterFunc(slice, func() { enough.Store(true) })
	defer timer.Stop()
	err = l.each(func(_ int, p Peer, random *rand.Rand) error {
		n := int64(0)
		defer func() { answered.Add(n) }()
		for !enough.Load() {
			if err := p.Ask(l.Records.At(random.IntN(l.Hot))); err != nil {
				enough.Store(true)
				return err
			}
			n++
		}
		return nil
	})
	return answered.Load(), time.Since(start), err
}

// Pace asks so many times a second in all, evenly over the connections, and returns how long
// each answer took, counted from when the question was due: a server that stalls delays those
// behind, too. Each record is asked for in turn, so that no two questions are alike while the records last.
func (l *Load) Pace(perSecond float64, slice time.Duration) ([]time.Duration, error) {
	interval := time.Duration(float64(time.Second) / perSecond)
	total := int(slice / interval)
	took := make([]time.Duration, total)
	start := time.Now()
	var failed atomic.Bool
	err := l.each(func(worker int, p Peer, _ *rand.Rand) error {
		for i := worker; i < total && !failed.Load(); i += len(l.Peers) {
			due := start.Add(time.Duration(i) * interval)
			time.Sleep(time.Until(due))
			if err := p.Ask(l.Records.At(i % l.Hot)); err != nil {
				failed.Store(true)
				return err
			}
			took[i] = time.Since(due)
		}
		return nil
	})
	return took, err
}

// each runs a function for every connection at once.
func (l *Load) each(run func(worker int, p Peer, random *rand.Rand) error) error {
	errs := make([]error, len(l.Peers))
	var running sync.WaitGroup
	for worker, peer := range l.Peers {
		running.Go(func() {
			errs[worker] = run(worker, peer, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
