package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/claviger-dev/claviger/test/bench/stats"
	"github.com/claviger-dev/claviger/verifier"
)

// decisions measures calls of Verify.
type decisions struct {
	verifier *verifier.Verifier
	slice    time.Duration
}

// verify measures the time of a call, in ns, on so many cores at once.
func (d *decisions) verify(a *asker, valid bool, cores int) func() ([]float64, error) {
	return d.loop(cores, func(random *rand.Rand) error {
		r := a.request(random.IntN(a.hot))
		if decision := d.verifier.Verify(context.Background(), r); decision.Valid() != valid {
			return fmt.Errorf("the answer is %s", decision.Code)
		}
		return nil
	})
}

// bare measures what no verifier can do without: the hash of the key, and the time.
func (d *decisions) bare(a *asker) func() ([]float64, error) {
	var sink atomic.Int64
	return d.loop(1, func(random *rand.Rand) error {
		r := a.request(random.IntN(a.hot))
		sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(r.Key), len(r.Key)))
		if sum[0] == 0 {
			sink.Store(time.Now().UnixNano())
		} else if time.Now().IsZero() {
			sink.Store(0)
		}
		return nil
	})
}

// loop repeats a call for a slice of time on some cores, and returns its time in ns.
func (d *decisions) loop(cores int, call func(*rand.Rand) error) func() ([]float64, error) {
	const batch = 128 // calls between two looks at the clock
	return func() ([]float64, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		var count atomic.Int64
		var failure atomic.Value
		var running sync.WaitGroup
		start := time.Now()
		for range cores {
			running.Go(func() {
				random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
				for time.Since(start) < d.slice && failure.Load() == nil {
					for range batch {
						if err := call(random); err != nil {
							failure.Store(err)
						}
					}
					count.Add(batch)
				}
			})
		}
		running.Wait()
		took := time.Since(start)
		if err, ok := failure.Load().(error); ok {
			return nil, err
		}
		return []float64{float64(took.Nanoseconds()) * float64(cores) / float64(count.Load())}, nil
	}
}

// allocations counts them in bursts that are too short for anything else to run: what is
// rolled up behind the recorder is not of the call.
func (d *decisions) allocations(a *asker) float64 {
	const bursts, calls = 50, 200
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var sample stats.Sample
	for burst := range bursts {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range calls {
			d.verifier.Verify(context.Background(), a.request((burst*calls+i)%a.hot))
		}
		runtime.ReadMemStats(&after)
		sample = append(sample, float64(after.Mallocs-before.Mallocs)/calls)
	}
	return sample.Median()
}
