package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
	"github.com/claviger-dev/claviger/verifier"
)

// contest is what is measured in turns in this process: fleets, and the bare script beside them.
type contest struct {
	*bench
	redis    *redisServer
	recorder verifier.Recorder
	sides    []stats.Side
	fleets   []*fleet
	ends     []func()
}

// sharedInProcess is Verify with limits that verifiers share, by one verifier and by three, called by many at once. The
// server has one processor and all verifiers have the other. Three processes there would show how the kernel
// divides a processor; three verifiers in one process have three of all that counts: indexes, leases, connections.
func (b *bench) sharedInProcess(ctx context.Context) error {
	redis, err := b.startRedis(ctx, b.onServerCPU)
	if err != nil {
		return err
	}
	defer redis.Kill() //nolint:errcheck // so it will at the end of the run
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer recorder.Close(context.Background()) //nolint:errcheck // nothing is stored
	c := &contest{bench: b, redis: redis, recorder: recorder}
	defer c.end()
	for _, verifiers := range []int{1, 3} {
		if err := c.enter(ctx, verifiers); err != nil {
			return err
		}
	}
	samples, err := b.alternate(ctx, b.limitRounds(), c.sides)
	if err != nil {
		return err
	}
	c.add(samples)
	for _, i := range []int{leasedSide, strictSide} {
		if err := b.profileHere("limits "+c.sides[i].Name, c.sides[i]); err != nil {
			return err
		}
	}
	return nil
}

// The sides of so many verifiers, in this order; the last only of one.
const (
	bareSide = iota
	localSide
	leasedSide
	strictSide
	secondsSide // leased, where all that was leased is over after a second
	sidesOfOne
)

// enter prepares the sides of so many verifiers.
func (c *contest) enter(ctx context.Context, verifiers int) error {
	if err := c.enterBare(verifiers); err != nil {
		return err
	}
	limits := []v1alpha1.KeyLimitSpec{
		rate(neverReached, time.Minute, ""),
		rate(neverReached, time.Minute, v1alpha1.ConsistencyLeased),
		rate(neverReached, time.Minute, v1alpha1.ConsistencyStrict),
		rate(neverReached, time.Second, v1alpha1.ConsistencyLeased),
	}
	if verifiers > 1 {
		limits = limits[:secondsSide-localSide]
	}
	for _, limit := range limits {
		if err := c.enterFleet(ctx, verifiers, limit); err != nil {
			return err
		}
	}
	return nil
}

// enterFleet prepares verifiers that keep a limit; of no Consistency each keeps it for itself.
func (c *contest) enterFleet(ctx context.Context, verifiers int, limit v1alpha1.KeyLimitSpec) error {
	people, err := c.people(sharedKeys)
	if err != nil {
		return err
	}
	o := fleetOptions{verifiers: verifiers, people: people, recorder: c.recorder, limit: limit}
	if limit.Consistency != "" {
		o.url = c.redis.url(1 + len(c.fleets)) // of its own, or it would know of the others' verifiers
	}
	f, err := startFleet(ctx, o)
	if err != nil {
		return err
	}
	c.fleets, c.ends = append(c.fleets, f), append(c.ends, f.end)
	calls := c.callers(f.call)
	if limit.Consistency == v1alpha1.ConsistencyLeased {
		calls.warm, calls.rest = leasesGrow, leasesReturn
		// All keys' spans begin at about the same time: a slice sees the end of as many as there are in it.
		if per := limit.Rates[0].Per.Duration; per < time.Minute {
			calls.slice = per
		}
	}
	name := fmt.Sprintf("%s by %d for %s", cmp.Or(string(limit.Consistency), "Local"), verifiers, limit.Rates[0].Per.Duration)
	c.sides = append(c.sides, stats.Side{Name: name, Measure: calls.measure})
	return nil
}

func (c *contest) enterBare(clients int) error {
	bare, err := c.redis.connectBare(clients, sharedKeys, neverReached)
	if err != nil {
		return err
	}
	c.ends = append(c.ends, bare.close)
	c.sides = append(c.sides, stats.Side{Name: fmt.Sprintf("a bare script by %d", clients), Measure: c.callers(bare.call).measure})
	return nil
}

func (c *contest) callers(call func(int, *rand.Rand) error) callers {
	return callers{count: connections, call: call, slice: c.limitSlice(), used: func() (time.Duration, error) { return cpu.Used(c.redis.PID()) }}
}

func (c *contest) end() {
	for _, end := range c.ends {
		end()
	}
}

// add adds the rows of all sides.
func (c *contest) add(samples [][]stats.Sample) {
	one, three := samples[:sidesOfOne], samples[sidesOfOne:]
	for _, of := range []struct {
		name, metric string
		samples      [][]stats.Sample
	}{{"1 verifier", "", one}, {"3 verifiers", "_of_three", three}} {
		name := func(what string) string { return of.name + ", " + what }
		s := of.samples
		c.addRatio(name("Leased against Local: calls/s"), "limits_leased_ratio"+of.metric, s[leasedSide], s[localSide])
		if len(s) > secondsSide {
			c.addRatio(name("Leased against Local, spans of a second: calls/s"), "", s[secondsSide], s[localSide])
		}
		c.addRatio(name("Strict against a bare script: calls/s"), "limits_strict_ratio"+of.metric, s[strictSide], s[bareSide])
		c.addServerTime(name("Strict against a bare script"), s[strictSide], s[bareSide], serverTime)
		c.addTimes(name("Leased"), "Local", s[leasedSide], s[localSide])
		c.addTimes(name("Strict"), "a bare script", s[strictSide], s[bareSide])
	}
	var all, unanswered float64
	for _, f := range c.fleets {
		a, u := f.questions()
		all, unanswered = all+a, unanswered+u
	}
	c.addUnanswered("in process", all, unanswered)
}

// addTimes adds how long a call takes, beside what it is compared with.
func (b *bench) addTimes(what, beside string, one, other []stats.Sample) {
	for _, p := range []struct {
		name   string
		figure int
	}{{"p50", medianTime}, {"p99", p99Time}} {
		row := report.FromSample(fmt.Sprintf("%s: %s of a call; bare is %s", what, p.name, beside), "", "µs", one[p.figure])
		row.Bare = fmt.Sprintf("%.2f µs", other[p.figure].Median())
		b.report.Add(row)
	}
}
