package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// options are the flags.
type options struct {
	quick    bool
	only     []string
	binary   string
	profiles string
	span     time.Duration // zero: as the size has it
}

func (o options) check() error {
	for _, name := range o.only {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf("--only knows no %q; it knows %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("there is no claviger to measure: run make build, or say where it is with --binary: %w", err)
	}
	// A limit is kept in whole seconds, and one that is shorter than what is seen of the next would be over before that.
	if o.span != 0 && (o.span <= intoTheNext || o.span%time.Second != 0) {
		return fmt.Errorf("--limits-span must be more than %s, in whole seconds; it is %s", intoTheNext, o.span)
	}
	if o.profiles != "" {
		return os.MkdirAll(o.profiles, 0o700)
	}
	return nil
}

func (o options) wants(section string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, section)
}

// size is how much is measured.
type size struct {
	keys, many  int           // of a usual index and of a large one
	rounds      int           // in which the sides take turns
	slice       time.Duration // of a side in a round
	starts      int           // of a process
	revocations int
	flood       time.Duration
	perSpan     time.Duration // of the limit that is to hold at saturation
	ingest      time.Duration // for which events are taken in
	counting    time.Duration // of a side in a round where it counts into a store: several times as long as that rests
	events      int           // among which is queried
}

var (
	full  = size{keys: 100_000, many: 1_000_000, rounds: 30, slice: 250 * time.Millisecond, starts: 3, revocations: 300, flood: 10 * time.Second, perSpan: time.Minute, ingest: time.Minute, counting: 40 * time.Second, events: 10_000_000}
	quick = size{keys: 20_000, many: 100_000, rounds: 8, slice: 150 * time.Millisecond, starts: 1, revocations: 50, flood: 2 * time.Second, perSpan: 5 * time.Second, ingest: 5 * time.Second, counting: 6 * time.Second, events: 300_000}
)

// connections are as many as a busy gateway has.
const connections = 64

// bench is a run. What is expensive to make is made when it is first needed and kept.
type bench struct {
	options
	size
	report *report.Report
	dir    string

	serverCPU, loadCPU int
	pinned             bool

	population *population.Population // of many keys
	strangers  population.Keys        // that nobody issued
	api        *fakeapi.Server
	verifier   *verifierProcess // with all of keys, on serverCPU
	measured   []loaded         // since the last profiles
	cleanups   []func() error
}

func newBench(o options) (*bench, error) {
	// client-go and controller-runtime have much to say about servers that come and go.
	klog.SetLogger(logr.Discard())
	ctrl.SetLogger(logr.Discard())
	b := &bench{options: o, size: full, report: &report.Report{Progress: os.Stdout}}
	if o.quick {
		b.size = quick
	}
	b.perSpan = cmp.Or(o.span, b.perSpan)
	b.serverCPU, b.loadCPU, b.pinned = cpu.Pair()
	if !b.pinned {
		fmt.Println("There are no two processors to bind server and load to: they share, and the ratios tell less.")
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "claviger-bench-"); err != nil {
		return nil, err
	}
	b.cleanup(func() error { return os.RemoveAll(b.dir) })
	return b, nil
}

// cleanup is done at the end, the last first.
func (b *bench) cleanup(do func() error) { b.cleanups = append(b.cleanups, do) }

func (b *bench) close() {
	for _, do := range slices.Backward(b.cleanups) {
		if err := do(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// path is a new file's, in the directory of this run.
func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// people are the first n keys.
func (b *bench) people(n int) (*population.Population, error) {
	if b.population == nil {
		all, err := population.New(b.many)
		if err != nil {
			return nil, err
		}
		b.population = all
	}
	return b.population.First(n), nil
}

// usual is the number of keys of a usual index, for people.
func (b *bench) usual() string { return report.Count(float64(b.keys)) }

// unknown are keys that nobody issued: as many as a flood needs.
func (b *bench) unknown() (population.Keys, error) {
	if b.strangers == nil {
		keys, err := population.MakeKeys(max(population.Hot, int(b.flood.Seconds()*floodPerSecond)))
		if err != nil {
			return nil, err
		}
		b.strangers = keys
	}
	return b.strangers, nil
}

// onServerCPU starts processes on the processor that is the servers'.
func (b *bench) onServerCPU(start func() error) error {
	if !b.pinned {
		return start()
	}
	return cpu.On(b.serverCPU, start)
}

// onAllCores binds nothing to a processor for as long as do takes.
func (b *bench) onAllCores(do func() error) error {
	pinned := b.pinned
	defer func() { b.pinned = pinned }()
	b.pinned = false
	return do()
}

// alternate measures sides in turns, with the load on its own processor.
func (b *bench) alternate(ctx context.Context, rounds int, sides []stats.Side) ([][]stats.Sample, error) {
	if b.pinned {
		release, err := cpu.Stay(b.loadCPU)
		if err != nil {
			return nil, err
		}
		defer release() //nolint:errcheck // as it was possible to bind
	}
	for i, s := range sides {
		measure := s.Measure
		sides[i].Measure = func() ([]float64, error) {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return measure()
		}
	}
	samples, err := stats.Alternate(rounds, sides)
	if err != nil {
		return nil, err
	}
	return samples, b.profileAll(ctx)
}
