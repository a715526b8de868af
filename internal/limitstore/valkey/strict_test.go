package valkey

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// Many at once, by several stores, are admitted the limit exactly.
func TestSeveralStoresShareExactlyTheLimit(t *testing.T) {
	server := valkeyserver.Start(t)
	var stores []*Store
	for range 3 {
		stores = append(stores, start(t, Options{URL: server.URL()}))
	}
	for _, r := range kinds() {
		a := ask(r)
		var admitted atomic.Int64
		var workers sync.WaitGroup
		for i, s := range stores {
			mine := a
			mine.Known, mine.Slots = new(limit.Bucket), new(limit.Slots)
			for j := range 4 {
				workers.Go(func() {
					for k := range 20 {
						results, err := s.Take(context.Background(), time.Now(), []Ask{mine}, limit.Cost{Requests: 1, Microcents: 1}, fmt.Sprint(i, j, k), nil)
						if err != nil {
							t.Error(err)
						} else if results[0].Allowed {
							admitted.Add(1)
						}
					}
				})
			}
		}
		workers.Wait()
		if got := admitted.Load(); got != 90 {
			t.Errorf("%v: %d of 240 are admitted, of 90", r.Kind, got)
		}
	}
}

// Spans that follow each other hold the limit each, whoever asks.
func TestSpansHoldTheLimitOneAfterTheOther(t *testing.T) {
	server := valkeyserver.Start(t)
	clock := newClock()
	var stores []*Store
	for range 3 {
		stores = append(stores, start(t, Options{URL: server.URL(), Now: clock.Now}))
	}
	const most, per = 20, time.Minute
	a := ask(&limit.Rule{Max: most, Per: per})
	var times []time.Time // of what was admitted; each store's are by the same clock
	var mu sync.Mutex
	for range 60 {
		clock.advance(2 * time.Second)
		now := clock.Now()
		var workers sync.WaitGroup
		for _, s := range stores {
			mine := a
			mine.Known = new(limit.Bucket)
			workers.Go(func() {
				for range 3 {
					results, err := s.Take(context.Background(), now, []Ask{mine}, limit.Cost{Requests: 1}, "x", nil)
					if err != nil {
						t.Error(err)
					} else if results[0].Allowed {
						mu.Lock()
						times = append(times, now)
						mu.Unlock()
					}
				}
			})
		}
		workers.Wait()
	}
	var begun time.Time
	spans, held := 0, 0
	for _, at := range times {
		if begun.IsZero() || at.Sub(begun) >= per {
			if spans > 0 && held != most {
				t.Errorf("a span held %d", held)
			}
			begun, held = at, 0
			spans++
		}
		held++
	}
	if spans != 2 || held > most {
		t.Errorf("%d spans, of which the last held %d", spans, held)
	}
}

type operation struct {
	draw bool // as much as there is, in place of all or nothing
	n    int64
}

type outcome struct{ taken, left int64 }

// A counter, as those who use it see it.
func counterModel(most int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, output any) (bool, any) {
			used, in, out := state.(int64), input.(operation), output.(outcome)
			taken := min(in.n, most-used)
			if !in.draw && taken < in.n {
				taken = 0
			}
			return out == outcome{taken, most - used - taken}, used + taken
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
}

// Whatever several clients see of a counter can be explained by an order in which they came.
func TestACounterIsLinearizable(t *testing.T) {
	server := valkeyserver.Start(t)
	var stores []*Store
	for range 2 {
		stores = append(stores, start(t, Options{URL: server.URL()}))
	}
	const most = 150
	for _, r := range []*limit.Rule{
		{Max: most, Per: time.Hour},
		{Kind: limit.Tokens, Max: 1, Burst: most, Per: 24 * time.Hour},
		{Kind: limit.Quota, Max: most, Calendar: limit.NewCalendar(limit.Monthly, 1, nil)},
	} {
		a := ask(r)
		begun := time.Now()
		var mu sync.Mutex
		var history []porcupine.Operation
		var workers sync.WaitGroup
		for client := range 6 {
			s, mine := stores[client%len(stores)], a
			mine.Known = new(limit.Bucket)
			workers.Go(func() {
				for i := range 25 {
					in := operation{draw: i%3 == 2, n: int64(1 + (client+i)%4)}
					call := time.Since(begun).Nanoseconds()
					out, err := operate(s, mine, in)
					done := time.Since(begun).Nanoseconds()
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: done})
					mu.Unlock()
				}
			})
		}
		workers.Wait()
		if result := porcupine.CheckOperationsTimeout(counterModel(most), history, patience); result != porcupine.Ok {
			t.Errorf("%v: no order explains what was seen (%v)", r.Kind, result)
		}
	}
}

func operate(s *Store, a Ask, in operation) (outcome, error) {
	if in.draw {
		grants, err := s.Draw(context.Background(), time.Now(), []limitstore.Draw{{Counter: a.Counter, Rule: a.Rule, Known: a.Known, Want: in.n}})
		if err != nil {
			return outcome{}, err
		}
		return outcome{grants[0].Amount, grants[0].Left}, nil
	}
	results, err := s.Take(context.Background(), time.Now(), []Ask{a}, limit.Cost{Requests: in.n}, "x", nil)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{left: results[0].Remaining}
	if results[0].Allowed {
		out.taken = in.n
	}
	return out, nil
}
