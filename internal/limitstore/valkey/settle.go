package valkey

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

// ready is the connection by which to ask for counters of a tag, once it is counted there what was admitted
// of them without the server; nil while the server is away.
func (s *Store) ready(tag string, n int, counter func(i int) limitstore.Counter, now time.Time) *connection {
	conn := s.servers.Load().use(tag)
	if conn != nil && s.shares.n.Load() > 0 && !s.settleFor(conn, tag, n, counter, now) {
		conn = nil
	}
	if conn == nil {
		s.metrics.unasked.Inc()
	}
	return conn
}

// settleFor settles some counters, or waits for whoever does.
func (s *Store) settleFor(conn *connection, tag string, n int, counter func(i int) limitstore.Counter, now time.Time) bool {
	st := s.shares.stripe(tag)
	for !conn.over.Load() {
		var mine []*share
		var others chan struct{}
		st.Lock()
		for i := range n {
			switch sh := st.all[keyOf(counter(i))]; {
			case sh == nil:
			case sh.settling != nil:
				others = sh.settling
			default:
				sh.settling = make(chan struct{})
				mine = append(mine, sh)
			}
		}
		st.Unlock()
		switch {
		case mine != nil:
			if s.settleThese(conn, st, mine, now) != nil {
				return false
			}
		case others != nil:
			<-others
		default:
			return true
		}
	}
	return false
}

// telling is what the server is being told of a share. Where no answer comes the same is told again,
// under the same number, by which the server knows whether it has counted it already.
type telling struct {
	number   int64
	word     uint64 // up to which is told
	held     []holding
	released []string
	verdict  int // where the answer is; -1 where nothing is asked
}

// Of one counter no more requests under way are told at once.
const holdingsAtOnce = 100

// settleThese has counted what is owed for some shares of one tag that the caller has marked. Those which
// are settled are gone then.
func (s *Store) settleThese(conn *connection, st *stripe, these []*share, now time.Time) error {
	c := newCall()
	defer c.free()
	c.settles = s.id
	st.Lock()
	for _, sh := range these {
		if sh.telling.number == 0 {
			sh.begin(s.debts.Add(1))
		}
		sh.tell(c, now)
	}
	st.Unlock()
	var err error
	if len(c.entries) > 0 {
		err = s.run(conn, c, now)
	}
	st.Lock()
	defer st.Unlock()
	for _, sh := range these {
		if err == nil {
			sh.told(c, now)
			if sh.bucket.Word() == sh.before && len(sh.held) == 0 && len(sh.released) == 0 {
				s.shares.drop(st, sh)
			}
		}
		close(sh.settling)
		sh.settling = nil
	}
	return err
}

// begin decides on what is told next.
func (sh *share) begin(number int64) {
	t := &sh.telling
	t.number, t.word = number, sh.bucket.Word()
	n := min(len(sh.held), holdingsAtOnce)
	t.held, sh.held = sh.held[:n:n], sh.held[n:]
	n = min(len(sh.released), holdingsAtOnce)
	t.released, sh.released = sh.released[:n:n], sh.released[n:]
}

// tell asks for what is told to be counted, as far as it still counts.
func (sh *share) tell(c *call, now time.Time) {
	t := &sh.telling
	t.verdict = -1
	e := entry{counter: sh.counter, rule: sh.rule, epoch: t.number}
	if sh.rule.Kind != limit.Concurrency {
		if e.used = owed(&sh.part, sh.before, t.word, now); e.used != 0 {
			e.seed = sh.seed(t.word)
			t.verdict = len(c.entries)
			c.entries = append(c.entries, e)
		}
		return
	}
	for _, h := range t.held {
		if h.until > now.UnixNano() {
			e.id, e.used = h.id, 1
			c.entries = append(c.entries, e)
		}
	}
	for _, id := range t.released {
		e.id, e.used = id, -1
		c.entries = append(c.entries, e)
	}
}

// told is called with the answer.
func (sh *share) told(c *call, now time.Time) {
	t := sh.telling
	sh.telling = telling{}
	sh.before = t.word
	if t.verdict < 0 {
		return
	}
	v := c.verdicts[t.verdict]
	sh.base = wordOf(sh.rule, now, v.a, v.b)
	if sh.known != nil {
		sh.known.SetWord(sh.base)
	}
}

// So often what is owed is looked for, and what is not owed any more is dropped.
const (
	settleEvery = probe
	pruneEvery  = 10 * time.Second
)

// settleAll settles whatever can be, until ctx ends.
func (s *Store) settleAll(ctx context.Context) {
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	pruned := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.settle:
		case <-ticker.C:
		}
		if s.shares.n.Load() == 0 {
			continue
		}
		s.settleOnce(ctx)
		if time.Since(pruned) >= pruneEvery {
			s.prune()
			pruned = time.Now()
		}
	}
}

// So many counters are settled in one round trip.
const settleAtOnce = 100

// settleOnce settles what can be asked for now.
func (s *Store) settleOnce(ctx context.Context) {
	for i := range s.shares.stripes {
		st := &s.shares.stripes[i]
		byTag := map[string][]*share{}
		st.Lock()
		for counter, sh := range st.all {
			byTag[counter.Tag] = append(byTag[counter.Tag], sh)
		}
		st.Unlock()
		for tag, all := range byTag {
			for len(all) > 0 && ctx.Err() == nil {
				n := min(len(all), settleAtOnce)
				conn := s.servers.Load().use(tag)
				if conn == nil || s.settleThese(conn, st, st.claim(all[:n]), s.now()) != nil {
					break
				}
				all = all[n:]
			}
		}
	}
}

// claim marks those that are still there and that nobody else settles.
func (st *stripe) claim(all []*share) (mine []*share) {
	st.Lock()
	defer st.Unlock()
	for _, sh := range all {
		if st.all[sh.counter] == sh && sh.settling == nil {
			sh.settling = make(chan struct{})
			mine = append(mine, sh)
		}
	}
	return mine
}

// prune drops what does not count any more, however long the server stays away.
func (s *Store) prune() {
	now := s.now()
	for i := range s.shares.stripes {
		st := &s.shares.stripes[i]
		st.Lock()
		for _, sh := range st.all {
			if sh.settling == nil && sh.spent(now) {
				s.shares.drop(st, sh)
			}
		}
		st.Unlock()
	}
}

func (sh *share) spent(now time.Time) bool {
	if sh.telling.number != 0 {
		return false
	}
	if sh.rule.Kind != limit.Concurrency {
		return owed(&sh.part, sh.before, sh.bucket.Word(), now) == 0 && !sh.part.WholeAt(sh.bucket.Word(), now).After(now)
	}
	for _, h := range sh.held {
		if h.until > now.UnixNano() {
			return false
		}
	}
	return len(sh.released) == 0
}

// now is the time of whoever owes, where no request tells it.
func (s *Store) now() time.Time {
	if s.options.Now != nil {
		return s.options.Now()
	}
	return time.Now()
}
