package valkey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

const (
	// A cluster is asked who has what so often, and at once where a member says that it has
	// something no more.
	refresh = 10 * time.Second
	// Where nothing can be reached it may have become a cluster, or have come to be none.
	reconsider = 5 * time.Second
)

// layout is who has what.
type layout struct {
	addrs []string
	slots *slotTable // nil where there is no cluster
}

// follow keeps the servers up to date, until ctx ends.
func (s *Store) follow(ctx context.Context) {
	for ctx.Err() == nil {
		l, err := s.layout(ctx)
		if err == nil {
			s.apply(ctx, l)
		}
		if now := s.servers.Load(); now == nil || !now.complete() {
			s.note(err)
		}
		timer := time.NewTimer(s.patience())
		select {
		case <-timer.C:
		case <-s.stale:
			pause(ctx, tick(s.options.Timeout)) // one look for all that say so at once
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// patience is how long what is known of the servers may be left as it is.
func (s *Store) patience() time.Duration {
	now := s.servers.Load()
	switch {
	case now == nil, now.slots != nil && !now.complete():
		return probe
	case now.complete():
		return refresh
	}
	return reconsider
}

// outdated has it brought up to date soon.
func (s *Store) outdated() {
	select {
	case s.stale <- struct{}{}:
	default:
	}
}

// layout asks a server that is known, or those in the URL.
func (s *Store) layout(ctx context.Context) (layout, error) {
	if now := s.servers.Load(); now != nil {
		for _, n := range now.nodes {
			if c := n.use(); c != nil {
				if l, err := s.layoutBy(ctx, c, n.addr); err == nil {
					return l, nil
				}
			}
		}
	}
	var errs []error
	for _, host := range s.target.hosts {
		c, err := s.open(ctx, host)
		if err == nil {
			var l layout
			inTime, cancel := context.WithTimeoutCause(ctx, dialTimeout, errLate)
			l, err = s.layoutBy(inTime, c, host)
			cancel()
			c.fail(errOver)
			if err == nil {
				return l, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", host, err))
	}
	return layout{}, errors.Join(errs...)
}

func (s *Store) layoutBy(ctx context.Context, c *connection, addr string) (layout, error) {
	answer := c.do(func(client rueidis.Client) rueidis.RedisResult {
		return client.Do(ctx, client.B().ClusterSlots().Build())
	})
	ranges, err := answer.ToArray()
	if code := codeOf(err); code == "ERR" || code == "NOPERM" {
		return layout{addrs: s.target.hosts}, nil // it is no cluster, or not to be seen as one
	}
	if err != nil {
		return layout{}, err
	}
	return parseSlots(ranges, addr)
}

// parseSlots reads the answer to CLUSTER SLOTS of the server at an address: ranges of slots,
// each with the host and the port of its master and then of its replicas.
func parseSlots(ranges []rueidis.RedisMessage, asked string) (layout, error) {
	l := layout{slots: new(slotTable)}
	for i := range l.slots {
		l.slots[i] = -1
	}
	known := map[string]int16{}
	for _, r := range ranges {
		from, to, master, err := parseRange(r, asked)
		if err != nil {
			return layout{}, fmt.Errorf("the server does not say who has which slot: %w", err)
		}
		i, ok := known[master]
		if !ok {
			i = int16(len(l.addrs))
			known[master] = i
			l.addrs = append(l.addrs, master)
		}
		for slot := from; slot <= to; slot++ {
			l.slots[slot] = i
		}
	}
	if len(l.addrs) == 0 {
		return layout{}, errors.New("no member of the cluster has any slots yet")
	}
	return l, nil
}

func parseRange(r rueidis.RedisMessage, asked string) (from, to int64, master string, err error) {
	parts, err := r.ToArray()
	if err != nil || len(parts) < 3 {
		return 0, 0, "", errGarbage
	}
	from, err1 := parts[0].AsInt64()
	to, err2 := parts[1].AsInt64()
	node, err3 := parts[2].ToArray()
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, "", err
	}
	if from < 0 || to >= slots || len(node) < 2 {
		return 0, 0, "", errGarbage
	}
	host, _ := node[0].ToString() // of no text is the one that was asked
	port, err := node[1].AsInt64()
	if host == "" || host == "?" {
		host, _, _ = net.SplitHostPort(asked)
	}
	return from, to, net.JoinHostPort(host, strconv.FormatInt(port, 10)), err
}

// apply starts the nodes that are new, and stops those that are gone.
func (s *Store) apply(ctx context.Context, l layout) {
	now := &servers{slots: l.slots}
	wanted := map[string]bool{}
	for i, addr := range l.addrs {
		wanted[addr] = true
		key := allVerifiers
		if l.slots != nil {
			key = verifiersKey(func(slot uint16) bool { return int(l.slots[slot]) == i })
		}
		n := s.running[addr]
		if n == nil {
			n = &node{store: s, addr: addr}
			s.running[addr] = n
			n.verifiers.Store(&key)
			var run context.Context
			run, n.stop = context.WithCancel(ctx)
			s.alive.Go(func() { n.run(run) })
		}
		n.verifiers.Store(&key)
		now.nodes = append(now.nodes, n)
	}
	s.servers.Store(now)
	for addr, n := range s.running {
		if !wanted[addr] {
			delete(s.running, addr)
			n.stop()
		}
	}
}
