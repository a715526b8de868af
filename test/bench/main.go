// Command bench is make bench: it measures the verifier against the bare limit of each
// transport, in turns within one run, so that the figures that count are ratios. See
// docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/claviger-dev/claviger/test/bench/report"
)

// sections are what is measured, in this order. Another one is a function and a line here, and its
// targets in the package report.
var sections = []struct {
	name, title string
	measure     func(context.Context, *bench) error
}{
	{"inprocess", "In process", measureInProcess},
	{"process", "The process: memory and start", measureProcess},
	{"http", "HTTP", measureHTTP},
	{"extauthz", "Envoy ext_authz", measureExtAuthz},
	{"scale", "A million keys against one", measureScale},
	{"flood", "A flood of invalid keys", measureFlood},
	{"revoke", "From revoked to refused", measureRevoke},
	{"limits", "Limits that verifiers share", measureLimits},
	{"usage", "Usage", measureUsage},
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childCommand {
		exit(runChild(os.Args[2:]))
		return
	}
	var o options
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "measure fewer keys for a shorter time: some two and a half minutes, and not what is to be reported")
	flags.StringSliceVar(&o.only, "only", nil, "what to measure, of "+strings.Join(sectionNames(), ", ")+"; by default all of it")
	flags.StringVar(&o.binary, "binary", "bin/claviger", "the claviger to measure as a process")
	flags.DurationVar(&o.span, "limits-span", 0, "the span of the limit that is to hold at saturation, in whole seconds; by default a minute, or with --quick 5s")
	flags.StringVar(&o.profiles, "profiles", "", "directory to write CPU profiles to, of all that is measured")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if !errors.Is(err, pflag.ErrHelp) {
			exit(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func sectionNames() []string {
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.name
	}
	return names
}

func run(ctx context.Context, o options) error {
	if err := o.check(); err != nil {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	start := time.Now()
	for _, s := range sections {
		if !o.wants(s.name) {
			continue
		}
		b.report.Section(s.title)
		if err := s.measure(ctx, b); err != nil {
			return fmt.Errorf("measuring %s: %w", s.name, err)
		}
	}
	fmt.Printf("\n%s, %d processors, %s, %s\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), time.Since(start).Round(time.Second))
	b.report.Write(os.Stdout)
	return writeJSON(b.report)
}

// writeJSON writes the figures to where BENCH_JSON says.
func writeJSON(r *report.Report) error {
	path := os.Getenv("BENCH_JSON")
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("the figures cannot be written to where BENCH_JSON says: %w", err)
	}
	return errors.Join(r.WriteJSON(file), file.Close())
}
