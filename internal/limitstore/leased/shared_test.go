package leased

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
)

var start = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

var (
	counter = limitstore.Counter{Tag: "workspace", Rule: "limit/0", Subject: 7}
	monthly = limit.NewCalendar(limit.Monthly, 1, nil)
)

func perMinute(n int64) *limit.Rule { return &limit.Rule{Kind: limit.Span, Max: n, Per: time.Minute} }

func quota(n int64) *limit.Rule { return &limit.Rule{Kind: limit.Quota, Max: n, Calendar: monthly} }

func budget(n int64) *limit.Rule { return &limit.Rule{Kind: limit.Budget, Max: n, Calendar: monthly} }

func bursting(n, burst int64) *limit.Rule {
	return &limit.Rule{Kind: limit.Tokens, Max: n, Burst: burst, Per: time.Minute}
}

// shared is a Drawer that counts exactly, in memory, and fails as it is told.
type shared struct {
	mu        sync.Mutex
	buckets   map[limitstore.Counter]*limit.Bucket
	verifiers int
	calls     int
	draws     []limitstore.Draw // that were counted
	latest    time.Time
	// fails says what becomes of the next calls.
	fails failure
	times int
	// hang, while not nil, keeps calls from being answered until it is closed.
	hang chan struct{}
	// By epoch: what counts as used though nobody has it, and debt that was counted and will be again.
	lost map[int64]int64
	// What began with nothing used: each is what a limit may admit Max in.
	fresh map[int64]int
	begun int
	// A clock that is set back to the very millisecond makes one epoch of two spans.
	epoch int64
	twice bool
}

type failure int

const (
	none failure = iota
	before
	after
)

var errBroken = errors.New("broken pipe")

func newShared(verifiers int) *shared {
	return &shared{
		buckets: map[limitstore.Counter]*limit.Bucket{}, verifiers: verifiers,
		lost: map[int64]int64{}, fresh: map[int64]int{},
	}
}

func (s *shared) Verifiers() int { return s.verifiers }

func (s *shared) Place(tag string) string { return tag }

func (s *shared) Draw(ctx context.Context, now time.Time, draws []limitstore.Draw) ([]limitstore.Grant, error) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	failure := none
	if s.times > 0 {
		failure = s.fails
		s.times--
	}
	if ctx.Err() != nil {
		failure = before
	}
	// A draw that was late is no clock set back, which would begin a span anew.
	if late := s.latest.Sub(now); late > 0 && late < time.Minute {
		now = s.latest
	}
	s.latest = now
	var grants []limitstore.Grant
	for i := range draws {
		if failure == before {
			s.lost[draws[i].Epoch] += max(0, -draws[i].Used) // it stays counted
			continue
		}
		grant := s.grant(now, &draws[i])
		if failure == after {
			s.lost[grant.Epoch] += grant.Amount + max(0, draws[i].Used)
		}
		grants = append(grants, grant)
	}
	if failure != none {
		return nil, errBroken
	}
	for i := range draws {
		draws[i].Known.SetWord(s.bucket(draws[i].Counter).Word())
	}
	return grants, nil
}

func (s *shared) bucket(counter limitstore.Counter) *limit.Bucket {
	b := s.buckets[counter]
	if b == nil {
		b = new(limit.Bucket)
		s.buckets[counter] = b
	}
	return b
}

func (s *shared) grant(now time.Time, draw *limitstore.Draw) (grant limitstore.Grant) {
	s.draws = append(s.draws, *draw)
	b, rule := s.bucket(draw.Counter), draw.Rule
	whole := rule.Look(b, now).Remaining == rule.Capacity()
	switch epoch, _ := epochOf(rule, b, now); {
	case draw.Used > 0 || draw.Used < 0 && epoch == draw.Epoch:
		rule.Charge(b, now, draw.Used)
	}
	grant.Amount = min(draw.Want, rule.Look(b, now).Remaining)
	if grant.Amount > 0 {
		rule.Take(b, now, grant.Amount)
	}
	result := rule.Look(b, now)
	grant.Epoch, grant.Until = epochOf(rule, b, now)
	grant.Left, grant.ResetAt = result.Remaining, result.ResetAt
	if grant.Amount < draw.Want && grant.Amount == 0 {
		grant.RetryAt = now.Add(rule.Take(b, now, 1).RetryAfter)
	}
	if _, ok := s.fresh[grant.Epoch]; grant.Epoch != 0 && !ok {
		if whole {
			s.begun++
		}
		s.fresh[grant.Epoch] = s.begun
	} else if grant.Epoch != 0 && grant.Epoch != s.epoch {
		s.twice = true
	}
	if grant.Epoch != 0 {
		s.epoch = grant.Epoch
	}
	return grant
}

// epochOf reads it from the bucket's word, zero if there is none now.
func epochOf(rule *limit.Rule, b *limit.Bucket, now time.Time) (epoch int64, until time.Time) {
	day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	switch rule.Kind {
	case limit.Tokens:
		return 0, time.Time{}
	case limit.Span:
		began := int64(b.Word() >> 24)
		from := day.Add(time.Duration(began) * time.Millisecond)
		if began == 0 || now.Before(from) || !now.Before(from.Add(rule.Per)) {
			return 0, time.Time{}
		}
		return began, from.Add(rule.Per)
	}
	period := rule.Calendar.At(now)
	if end := int64(b.Word() >> 48); end > int64(period.EndDay) {
		return end, day.AddDate(0, 0, int(end)) // before the clock was set back
	}
	return int64(period.EndDay), period.End
}

// counted is what the shared counter has counted, which after an edit or a charge may be more than the limit.
func (s *shared) counted(rule *limit.Rule, now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(counter)
	epoch, _ := epochOf(rule, b, now)
	switch {
	case rule.Kind == limit.Tokens:
		return rule.Capacity() - rule.Look(b, now).Remaining
	case epoch == 0:
		return 0
	case rule.Kind == limit.Span:
		return int64(b.Word() & (1<<24 - 1))
	case int64(b.Word()>>48) != epoch:
		return 0
	}
	return int64(b.Word() & (1<<48 - 1))
}

func (s *shared) fail(how failure, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.times = how, times
}

func (s *shared) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// hold lets the next calls hang until the returned function is called.
func (s *shared) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hang := make(chan struct{})
	s.hang = hang
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hang = nil
		close(hang)
	}
}

// verifier is one of the processes that share the counters.
type verifier struct {
	*Store
	clock *testingclock.FakeClock
	known limit.Bucket
}

func newVerifier(t testing.TB, clock *testingclock.FakeClock, drawer limitstore.Drawer) *verifier {
	s, err := New(Options{Drawer: drawer, Clock: clock, Log: logr.Discard(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return &verifier{Store: s, clock: clock}
}

func (v *verifier) lease(rule *limit.Rule) *Lease { return v.Lease(counter, rule, &v.known) }

func (v *verifier) take(rule *limit.Rule, amount int64) (limit.Result, Taken, error) {
	return v.lease(rule).Take(context.Background(), v.clock.Now(), rule, amount)
}

// holds is how much a verifier has of an epoch that is not used or void.
func (v *verifier) holds(epoch int64) (units, debt int64) {
	v.table.Load().each(func(l *Lease) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if w := l.window.Load(); w.epoch == epoch && !w.over(v.clock.Now()) {
			units += w.left()
		}
		if l.back.epoch == epoch {
			units += l.back.amount
		}
		debt += l.debt
	})
	return units, debt
}
