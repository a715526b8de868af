package main

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claviger-dev/claviger/test/bench/stats"
)

// callers call something in this process all at once, each one again as soon as it has its answer.
type callers struct {
	count int
	call  func(caller int, random *rand.Rand) error
	// A slice begins with calls that are not measured, and is followed by a rest.
	warm, slice, rest time.Duration
	// used is the processor time of the server that is asked.
	used func() (time.Duration, error)
}

// The figures of callers, after perSecond.
const (
	medianTime = iota + 1 // µs of a call
	p99Time
	serverTime // µs of processor time that the server used for one
)

const (
	// A caller lets others run after so many calls, as a request does when it waits for its client: one that never
	// did would keep the processor for 10 ms at a time, and meanwhile nobody would read what the server answers.
	callsInARow = 16
	// One call in so many is timed: two looks at the clock are a tenth of a decision.
	timedOf = 8
)

// measure implements stats.Side's.
func (c callers) measure() ([]float64, error) {
	if c.warm > 0 {
		if _, _, _, err := c.saturate(c.warm); err != nil {
			return nil, err
		}
	}
	before, err := c.used()
	if err != nil {
		return nil, err
	}
	count, took, times, err := c.saturate(c.slice)
	if err != nil {
		return nil, err
	}
	after, err := c.used()
	if err != nil {
		return nil, err
	}
	time.Sleep(c.rest)
	return []float64{
		float64(count) / took.Seconds(),
		microseconds(stats.Percentile(times, 0.5)), microseconds(stats.Percentile(times, 0.99)),
		microseconds(after-before) / float64(max(count, 1)),
	}, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// saturate calls for so long. It returns how many calls there were, in how long, and the times of some of them.
func (c callers) saturate(slice time.Duration) (count int64, took time.Duration, times []time.Duration, err error) {
	var enough atomic.Bool
	var running sync.WaitGroup
	of := make([]caller, c.count)
	start := time.Now()
	timer := time.AfterFunc(slice, func() { enough.Store(true) })
	defer timer.Stop()
	for i := range of {
		running.Go(func() {
			if of[i].run(c, i, &enough); of[i].err != nil {
				enough.Store(true)
			}
		})
	}
	running.Wait()
	took = time.Since(start)
	for i := range of {
		count += of[i].count
		times = append(times, of[i].times...)
		err = errors.Join(err, of[i].err)
	}
	return count, took, times, err
}

// caller is one of them.
type caller struct {
	count int64
	times []time.Duration
	err   error
}

func (c *caller) run(of callers, number int, enough *atomic.Bool) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for !enough.Load() {
		c.count++
		if c.count%timedOf == 0 {
			start := time.Now()
			c.err = of.call(number, random)
			c.times = append(c.times, time.Since(start))
		} else {
			c.err = of.call(number, random)
		}
		if c.err != nil {
			return
		}
		if c.count%callsInARow == 0 {
			runtime.Gosched()
		}
	}
}
