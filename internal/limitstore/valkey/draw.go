package valkey

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

var _ limitstore.Drawer = (*Store)(nil)

// Draw asks for parts of what is left, all in one round trip. While the server is away it returns an error at
// once; a Take then decides.
func (s *Store) Draw(_ context.Context, now time.Time, draws []limitstore.Draw) ([]limitstore.Grant, error) {
	if len(draws) == 0 {
		return nil, nil
	}
	conn := s.readyToDraw(draws, now)
	if conn == nil {
		return nil, ErrUnavailable
	}
	c := newCall()
	defer c.free()
	for i := range draws {
		d := &draws[i]
		if d.Rule.Kind == limit.Concurrency {
			return nil, errors.New("requests under way cannot be drawn ahead of need: Take each of them")
		}
		e := entry{counter: d.Counter, rule: d.Rule, used: d.Used, epoch: d.Epoch, want: d.Want}
		if d.Known != nil {
			e.seed = d.Known.Word()
		}
		c.entries = append(c.entries, e)
	}
	if err := s.run(conn, c, now); err != nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	grants := make([]limitstore.Grant, len(draws))
	for i := range draws {
		grants[i] = grantOf(&draws[i], now, c.server, c.verdicts[i])
	}
	return grants, nil
}

// Place is the same for all tags but in a cluster, where each has a slot, and a script reaches one of them.
func (s *Store) Place(tag string) string {
	if now := s.servers.Load(); now == nil || now.slots == nil {
		return ""
	}
	return tag
}

// readyToDraw is ready for counters of several tags.
func (s *Store) readyToDraw(draws []limitstore.Draw, now time.Time) *connection {
	from := 0
	var conn *connection
	for to := 1; to <= len(draws); to++ {
		if to < len(draws) && draws[to].Counter.Tag == draws[from].Counter.Tag {
			continue
		}
		counter := func(i int) limitstore.Counter { return draws[from+i].Counter }
		if conn = s.ready(draws[from].Counter.Tag, to-from, counter, now); conn == nil {
			return nil
		}
		from = to
	}
	return conn
}

func grantOf(d *limitstore.Draw, now time.Time, server int64, v verdict) limitstore.Grant {
	word := wordOf(d.Rule, now, v.a, v.b)
	if d.Known != nil {
		d.Known.SetWord(word)
	}
	var b limit.Bucket
	b.SetWord(word)
	look := d.Rule.Look(&b, now)
	g := limitstore.Grant{Amount: max(0, v.granted), Left: look.Remaining, ResetAt: look.ResetAt}
	switch d.Rule.Kind {
	case limit.Span:
		if v.a >= 0 {
			// By the server's clock, which is the same for all who ask.
			g.Epoch = server/1000 - v.a
			g.Until = look.ResetAt
		}
	case limit.Quota, limit.Budget:
		g.Epoch, g.Until = v.a, look.ResetAt
	}
	if g.Amount == 0 && d.Want > 0 {
		g.RetryAt = now.Add(d.Rule.Take(&b, now, 1).RetryAfter)
	}
	return g
}
