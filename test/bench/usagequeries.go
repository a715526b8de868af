package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// countingRounds are few, as each takes a minute.
const countingRounds = 3

// costOfCounting is a verifier's doors with usage counted in SQLite against the same without.
func (b *bench) costOfCounting(ctx context.Context) error {
	people, err := b.people(b.keys)
	if err != nil {
		return err
	}
	counting, err := b.startIndex(ctx, people, childOptions{Usage: b.path("counting.db")})
	if err != nil {
		return err
	}
	not, err := b.startIndex(ctx, people, childOptions{Usage: notCounted})
	if err != nil {
		return err
	}
	records := people.Keys.Records()
	samples, err := b.alternate(ctx, countingRounds, []stats.Side{
		b.inTurn(side{"forward-auth that counts", counting, authDoor.connect, records}),
		b.inTurn(side{"forward-auth that does not", not, authDoor.connect, records}),
	})
	if err != nil {
		return err
	}
	b.addTransport(fmt.Sprintf("forward-auth that counts in SQLite, %s keys, against one that does not", b.usual()), "usage_counting_ratio", samples[0], samples[1])
	return nil
}

// inTurn is a side that is measured for so long that the other one's connections would be closed meanwhile: it opens its
// own each time. What waits is stored before it is the other's turn, and is a small part of what was stored meanwhile.
func (b *bench) inTurn(s side) stats.Side {
	return stats.Side{Name: s.name, Measure: func() ([]float64, error) {
		connect, err := s.door(s.server, s.records)
		if err != nil {
			return nil, err
		}
		l, err := load.Open(connections, connect, s.records, min(s.records.Count(), population.Hot))
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // all answers were read
		return saturated(b.counting, usagerecorder.LongestRest+time.Second, s.server, l)
	}}
}

const month = 30 * 24 * time.Hour

// questions are asked about a key among many events of a month.
func (b *bench) questions(ctx context.Context) error {
	store, err := sqlite.Open(ctx, b.path("month.db"))
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // it was only measured
	begin := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	if err := b.fill(ctx, store, begin); err != nil {
		return err
	}
	among := "of a key among " + report.Count(float64(b.events)) + " events"
	err = b.ask("usage_summary_p99_ms", "the summary of 30 days "+among, func(key string) error {
		_, err := store.Sum(ctx, &usagestore.Query{From: begin, To: begin.Add(month), Filter: ofKey(key)})
		return err
	})
	if err != nil {
		return err
	}
	return b.ask("usage_log_page_p99_ms", "a page of the log, filtered by status, tier and a part of the domain, with its total, "+among, func(key string) error {
		filter := ofKey(key)
		filter.Equal[usagestore.ByStatus], filter.Equal[usagestore.ByTier] = []string{"allowed"}, []string{"standard", "enterprise"}
		filter.DomainContains = "www1"
		_, err := store.Log(ctx, &usagestore.LogQuery{From: begin, To: begin.Add(month), Filter: filter, Page: 3, PageSize: 50})
		return err
	})
}

func ofKey(key string) usagestore.Filter {
	return usagestore.Filter{Equal: map[usagestore.Dimension][]string{usagestore.ByKey: {key}}}
}

// fill adds events that are spread evenly over a month.
func (b *bench) fill(ctx context.Context, store usagestore.Writer, begin time.Time) error {
	const batch = 50_000
	events := newEvents(begin, month/time.Duration(b.events))
	for number := 1; (number-1)*batch < b.events; number++ {
		batchOf := usage.NewBatch("bench", int64(number))
		for range min(batch, b.events-(number-1)*batch) {
			e := events.next()
			batchOf.Add(&e, nil)
		}
		if err := store.Add(ctx, batchOf); err != nil {
			return err
		}
	}
	return nil
}

// ask times a question about keys that are drawn as they are used.
func (b *bench) ask(metric, what string, ask func(key string) error) error {
	random := rand.New(rand.NewPCG(3, 4))
	var took []time.Duration
	for range 300 {
		key := keyid.Derive(fmt.Sprint(int(float64(eventKeys) * random.Float64() * random.Float64())))
		begin := time.Now()
		if err := ask(key.String()); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
	}
	for _, p := range []struct {
		percentile   float64
		name, metric string
	}{{0.5, "median", ""}, {0.99, "p99", metric}} {
		at := stats.Percentile(took, p.percentile)
		b.report.Add(report.Row{What: p.name + " of " + what + ", in SQLite", Metric: p.metric, Value: float64(at) / float64(time.Millisecond), Unit: "ms"})
	}
	return nil
}
