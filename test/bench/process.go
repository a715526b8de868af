package main

import (
	"context"
	"fmt"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// measureProcess is what a whole verifier needs: memory for each key, and time to start.
func measureProcess(ctx context.Context, b *bench) error {
	empty := fakeapi.Start()
	defer empty.Close()
	none, err := b.startVerifier(ctx, empty.Config(), b.path("empty"))
	if err != nil {
		return err
	}
	without, err := none.collected(ctx)
	if err != nil {
		return err
	}
	if err := none.Kill(); err != nil {
		return err
	}
	api, err := b.fedAPI()
	if err != nil {
		return err
	}
	var started, used stats.Sample
	for i := range b.starts {
		v, err := b.startVerifier(ctx, api.Config(), b.path(fmt.Sprint("started", i)))
		if err != nil {
			return err
		}
		processor, err := cpu.Used(v.PID())
		if err != nil {
			return err
		}
		started, used = append(started, milliseconds(v.started)), append(used, milliseconds(processor))
		if i == b.starts-1 {
			if err := b.addMemory(ctx, v, without); err != nil {
				return err
			}
		}
		if err := v.Kill(); err != nil {
			return err
		}
	}
	b.report.Add(report.FromSample(fmt.Sprintf("from start to ready, %s keys from the API server", b.usual()), "start_api_ms", "ms", started))
	b.report.Add(report.FromSample("processor time used until then", "", "ms", used))
	return b.measureSnapshot(ctx, api)
}

// measureSnapshot is the start of a verifier whose API server is away.
func (b *bench) measureSnapshot(ctx context.Context, api *fakeapi.Server) error {
	snapshots := "--snapshot-dir=" + b.path("snapshots")
	before, err := b.startVerifier(ctx, api.Config(), b.path("snapshot"), snapshots)
	if err != nil {
		return err
	}
	if err := before.Stop(startTimeout); err != nil { // it writes what it knows
		return err
	}
	api.GoAway()
	defer api.Return()
	var started stats.Sample
	for i := range b.starts {
		v, err := b.startVerifier(ctx, api.Config(), b.path(fmt.Sprint("restarted", i)), snapshots)
		if err != nil {
			return err
		}
		started = append(started, milliseconds(v.started))
		if err := v.Kill(); err != nil {
			return err
		}
	}
	b.report.Add(report.FromSample(fmt.Sprintf("from start to ready, %s keys from a snapshot, the API server away", b.usual()), "start_snapshot_ms", "ms", started))
	return nil
}

func (b *bench) addMemory(ctx context.Context, v *verifierProcess, without memory) error {
	_, atReady, err := cpu.Resident(v.PID())
	if err != nil {
		return err
	}
	with, err := v.collected(ctx)
	if err != nil {
		return err
	}
	row := report.Row{
		What: fmt.Sprintf("memory of the process after a collection, %s keys", b.usual()), Metric: "process_bytes_per_key",
		Value: float64(with.needed-without.needed) / float64(b.keys), Unit: "B a key",
	}
	row.Measured, row.Bare = megabytes(with.needed), megabytes(without.needed)
	b.report.Add(row)
	b.report.Add(report.Row{What: "peak memory while it started", Measured: megabytes(atReady), Bare: megabytes(without.peak),
		Value: float64(atReady-without.peak) / float64(b.keys), Unit: "B a key"})
	return nil
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
