package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
	"github.com/claviger-dev/claviger/verifier"
)

// measureInProcess is Verify as a Go service calls it, and what the index needs of memory.
func measureInProcess(ctx context.Context, b *bench) error {
	for _, keys := range []int{1000, b.keys, b.many} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := b.inProcess(keys); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) inProcess(keys int) error {
	people, err := b.people(keys)
	if err != nil {
		return err
	}
	unknown, err := b.unknown()
	if err != nil {
		return err
	}
	x, occupied, err := buildIndex(people)
	if err != nil {
		return err
	}
	recorder, err := newRecorder(prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer recorder.Close(context.Background()) //nolint:errcheck // nothing is stored
	v, err := verifier.New(verifier.Options{Index: x, Recorder: recorder, Registerer: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	m := decisions{verifier: v, slice: b.slice / 2}
	hot := min(keys, population.Hot)
	sides := []stats.Side{
		{Name: "the bare hash and clock", Measure: m.bare(askerOf(people.Keys, hot))},
		{Name: "hits", Measure: m.verify(askerOf(people.Keys, hot), true, 1)},
		{Name: "misses", Measure: m.verify(strangersOf(unknown, hot), false, 1)},
		{Name: "hits on all cores", Measure: m.verify(askerOf(people.Keys, hot), true, runtime.NumCPU())},
		{Name: "hits on any key", Measure: m.verify(askerOf(people.Keys, keys), true, 1)},
	}
	samples, err := stats.Alternate(b.rounds, sides)
	if err != nil {
		return err
	}
	b.addInProcess(keys, hot, samples)
	if err := b.profileHere(fmt.Sprintf("inprocess-%d", keys), sides[1]); err != nil {
		return err
	}
	for _, row := range []report.Row{
		{What: "memory of the index", Metric: b.official(keys, b.many, "index_bytes_per_key"), Value: occupied.filled},
		{What: "the same, once every key was used and its limit counted", Value: occupied.used},
	} {
		row.What, row.Unit = fmt.Sprintf("%s keys: %s", report.Count(float64(keys)), row.What), "B a key"
		b.report.Add(row)
	}
	if keys == b.keys {
		if err := b.unlike(people, recorder); err != nil {
			return err
		}
		allocations := m.allocations(askerOf(people.Keys, hot))
		b.report.Add(report.Row{What: "allocations of a Verify", Metric: "verify_inprocess_allocs", Value: allocations, Unit: "allocations"})
	}
	return nil
}

// unlike is what it costs if no two keys are alike, and so nothing is shared.
func (b *bench) unlike(people *population.Population, recorder verifier.Recorder) error {
	before := heap()
	x := keyindex.New()
	if err := people.FillUnlike(x); err != nil {
		return err
	}
	perKey := float64(heap()-before) / float64(people.Keys.Count())
	v, err := verifier.New(verifier.Options{Index: x, Recorder: recorder})
	if err != nil {
		return err
	}
	m := decisions{verifier: v, slice: b.slice / 2}
	hot := min(people.Keys.Count(), population.Hot)
	samples, err := stats.Alternate(b.rounds, []stats.Side{{Name: "hits", Measure: m.verify(askerOf(people.Keys, hot), true, 1)}})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s keys, no two alike: ", report.Count(float64(people.Keys.Count())))
	b.report.Add(report.FromSample(name+fmt.Sprintf("a hit, of %s hot ones, 1 core", report.Count(float64(hot))), "", "ns", samples[0][0]))
	b.report.Add(report.Row{What: name + "memory of the index", Value: perKey, Unit: "B a key"})
	return nil
}

// official is the metric where this size is the one that counts.
func (b *bench) official(keys, counts int, metric string) string {
	if keys == counts {
		return metric
	}
	return ""
}

func (b *bench) addInProcess(keys, hot int, samples [][]stats.Sample) {
	bare, hits, misses, all, any := samples[0][0], samples[1][0], samples[2][0], samples[3][0], samples[4][0]
	name := func(what string) string {
		return fmt.Sprintf("%s keys: %s", report.Count(float64(keys)), what)
	}
	row := func(what, metric string, sample, beside stats.Sample) {
		r := report.FromSample(name(what), b.official(keys, b.keys, metric), "ns", sample)
		r.Bare = report.Count(beside.Median()) + " ns"
		b.report.Add(r)
	}
	row(fmt.Sprintf("a hit, of %s hot ones, 1 core", report.Count(float64(hot))), "verify_inprocess_ns", hits, bare)
	row("a miss, 1 core", "", misses, bare)
	if keys > hot {
		row("a hit, of any, 1 core", "", any, bare)
	}
	b.report.Add(report.FromSample(name("a miss against a hit"), b.official(keys, b.keys, "verify_miss_ratio"), "ratio", misses.Ratios(hits)))
	// ns a call on each core: without contention, as many as on one.
	b.report.Add(report.FromSample(name(fmt.Sprintf("what each of %d cores does of one alone", runtime.NumCPU())), "", "ratio", hits.Ratios(all)))
}

// occupied is what an index occupies for each key, in bytes.
type occupied struct{ filled, used float64 }

// buildIndex fills an index and asks for every key once.
func buildIndex(people *population.Population) (*keyindex.Index, occupied, error) {
	before := heap()
	perKey := func() float64 { return float64(heap()-before) / float64(people.Keys.Count()) }
	x := keyindex.New()
	if err := people.Fill(x); err != nil {
		return nil, occupied{}, err
	}
	var o occupied
	o.filled = perKey()
	if err := useAll(x, people); err != nil {
		return nil, o, err
	}
	o.used = perKey()
	return x, o, nil
}

// useAll asks for every key once.
func useAll(x *keyindex.Index, people *population.Population) error {
	v, err := verifier.New(verifier.Options{Index: x})
	if err != nil {
		return err
	}
	all := askerOf(people.Keys, people.Keys.Count())
	for number := range people.Keys.Count() {
		if d := v.Verify(context.Background(), all.request(number)); !d.Valid() {
			return fmt.Errorf("key %d is %s", number, d.Code)
		}
	}
	return nil
}

// heap is what is in use after a garbage collection, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
