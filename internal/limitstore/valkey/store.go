// Package valkey keeps what has been used of the limits in Valkey or Redis, where several verifiers share
// it. All that a request is held to is asked for, and taken, in one round trip and at once. What happens while the
// server cannot be asked is Outage's to say; what is admitted meanwhile is counted afterwards.
//
// A request whose answer was lost may have been counted and is decided again without the server, so
// that it may count twice, but never not at all.
package valkey

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Store asks for all counters that the verifiers share. New makes it, and until Run has connected it is
// as if the server were away.
type Store struct {
	options Options
	target  target
	id      string // of this verifier, among all
	script  *rueidis.Lua

	servers   atomic.Pointer[servers]
	running   map[string]*node // by address; follow's alone
	alive     sync.WaitGroup   // of all that ran
	stale     chan struct{}    // what is known of the servers is not true any more
	settle    chan struct{}    // there may be something to settle
	verifiers verifiers
	shares    shares
	debts     atomic.Int64 // the number of the last one
	metrics   *metrics

	end   chan struct{} // closed by Close
	close sync.Once
	ended chan struct{} // closed when Run has returned
	ran   atomic.Bool

	mu    sync.Mutex // guards all below
	told  bool       // that there is an outage
	since time.Time  // when it began
}

// New makes a Store. It does not wait for the server, and one that is away is no error.
func New(o Options) (*Store, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if _, err := o.password(""); err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, errors.New("the time that a request waits for the server of the shared limits must be positive")
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	s := &Store{
		options: o, target: t, id: rand.Text(), script: rueidis.NewLuaScript(scriptText),
		running: map[string]*node{}, stale: make(chan struct{}, 1), settle: make(chan struct{}, 1),
		end: make(chan struct{}), ended: make(chan struct{}),
	}
	s.shares.init()
	s.metrics, err = newMetrics(o.Registerer, s)
	return s, err
}

// Run connects and stays connected, until ctx ends or the Store is closed. It is to be run once, and for as
// long as requests come.
func (s *Store) Run(ctx context.Context) error {
	if s.ran.Swap(true) {
		return errors.New("the store of the shared limits runs already")
	}
	defer close(s.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What is still to be counted is counted before the connections go.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { s.follow(serving) })
	group.Go(func() { s.settleAll(serving) })
	select {
	case <-ctx.Done():
	case <-s.end:
	}
	s.settleOnce(serving)
	stop()
	group.Wait()
	s.alive.Wait()
	return nil
}

// Close ends Run, and waits for it or until ctx ends. Requests after it find no server.
func (s *Store) Close(ctx context.Context) {
	s.close.Do(func() { close(s.end) })
	if !s.ran.Load() {
		return
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}

// changed is called when a server can be asked, or cannot any more, and then says why.
func (s *Store) changed(err error) {
	now := s.servers.Load()
	if now != nil && now.slots != nil {
		s.outdated()
	}
	if err == nil {
		s.toSettle()
	}
	s.note(err)
}

// note logs when an outage begins and when it ends.
func (s *Store) note(err error) {
	now := s.servers.Load()
	up, known := now.complete(), now.known()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case up && s.told:
		s.options.Log.Info("The shared limits can be asked for again", "after", time.Since(s.since).Round(time.Millisecond).String())
	case !up && !s.told && known && err != nil:
		s.since = time.Now()
		s.options.Log.Error(err, "The shared limits cannot be asked for at the moment; until they can, requests are decided as this says", "outage", s.options.Outage.String())
	}
	s.told = !up && (s.told || known && err != nil)
}

// toSettle has what is to be settled settled soon.
func (s *Store) toSettle() {
	select {
	case s.settle <- struct{}{}:
	default:
	}
}
