package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

const (
	// floodPerSecond are distinct keys that nobody issued.
	floodPerSecond = 10_000
	// guestsPerSecond are requests of valid keys meanwhile: far from what the server can do, as
	// their delay would else be that of their own queue.
	guestsPerSecond = 2_000
)

// measureFlood is how long valid requests take while somebody tries key after key: before,
// meanwhile and after.
func measureFlood(ctx context.Context, b *bench) error {
	guests, err := b.guests(ctx)
	if err != nil {
		return err
	}
	if b.pinned {
		release, err := cpu.Stay(b.loadCPU)
		if err != nil {
			return err
		}
		defer release() //nolint:errcheck // as it was possible to bind
	}
	if _, err := guests.Pace(guestsPerSecond, b.flood/5); err != nil { // to warm up
		return err
	}
	before, err := guests.Pace(guestsPerSecond, b.flood/2)
	if err != nil {
		return err
	}
	// Only now: the server closes connections on which nothing is asked for some seconds.
	flood, err := b.intruders(ctx)
	if err != nil {
		return err
	}
	during, err := besides(guests, flood, b.flood)
	if err != nil {
		return err
	}
	after, err := guests.Pace(guestsPerSecond, b.flood/2)
	if err != nil {
		return err
	}
	calm := append(before, after...)
	for _, p := range []struct {
		percentile float64
		name       string
		metric     string
	}{{0.5, "median", ""}, {0.99, "p99", "flood_p99_ratio"}} {
		with, without := stats.Percentile(during, p.percentile), stats.Percentile(calm, p.percentile)
		b.report.Add(report.Row{
			What:     fmt.Sprintf("%s of valid requests beside %s unknown keys a second for %s", p.name, report.Count(floodPerSecond), b.flood),
			Measured: with.Round(time.Microsecond).String(), Bare: without.Round(time.Microsecond).String(),
			Metric: p.metric, Value: float64(with) / float64(without), Unit: "ratio",
		})
	}
	return nil
}

// besides paces one load, and meanwhile another, which nobody times.
func besides(guests, flood *load.Load, slice time.Duration) (took []time.Duration, err error) {
	var flooding sync.WaitGroup
	var floodErr error
	flooding.Go(func() { _, floodErr = flood.Pace(floodPerSecond, slice) })
	took, err = guests.Pace(guestsPerSecond, slice)
	flooding.Wait()
	if floodErr != nil {
		return nil, fmt.Errorf("the flood: %w", floodErr)
	}
	return took, err
}

// guests bear valid keys.
func (b *bench) guests(ctx context.Context) (*load.Load, error) {
	v, err := b.fedVerifier(ctx)
	if err != nil {
		return nil, err
	}
	people, err := b.people(b.keys)
	if err != nil {
		return nil, err
	}
	records := people.Keys.Records()
	question, err := authQuestion(v.HTTP, records)
	if err != nil {
		return nil, err
	}
	return b.openSome(16, question.Connect, records, min(b.keys, population.Hot))
}

// intruders bear keys that nobody issued, no two the same.
func (b *bench) intruders(ctx context.Context) (*load.Load, error) {
	v, err := b.fedVerifier(ctx)
	if err != nil {
		return nil, err
	}
	unknown, err := b.unknown()
	if err != nil {
		return nil, err
	}
	records := unknown.Records()
	question, err := strangerQuestion(v.HTTP, records)
	if err != nil {
		return nil, err
	}
	return b.open(question.Connect, records, records.Count())
}
