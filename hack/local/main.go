// Command local is make run: the whole of Claviger on one machine, without a cluster. It
// starts a real control plane, installs config/default into it, runs operator and verifier as
// processes with the flags and the RBAC identities they have in a cluster, applies
// config/samples, and stops all of it when it is told to.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/claviger-dev/claviger/test/controlplane"
)

type options struct {
	dir    string
	binary string
	// Of operator and verifier; empty: their own default.
	logLevel string
	samples  bool
	// usageURL is a PostgreSQL to count usage in; empty: it is counted in SQLite.
	usageURL string
	// By what listens on them; 0 takes the port of the last run, or else a free one.
	ports map[string]*int
}

func main() {
	// What the libraries have to say is not for the person at the terminal.
	ctrllog.SetLogger(logr.Discard())
	opts, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		err = runUntilSignalled(opts)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nClaviger cannot run: %v\n", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	root := controlplane.RepositoryRoot()
	opts := options{ports: map[string]*int{}}
	flags := pflag.NewFlagSet("local", pflag.ContinueOnError)
	flags.StringVar(&opts.dir, "dir", filepath.Join(root, ".local"), "directory for data, logs and credentials; a second run over the same one goes on with its keys")
	flags.StringVar(&opts.binary, "binary", filepath.Join(root, "bin", "claviger"), "the claviger program")
	flags.StringVar(&opts.logLevel, "log-level", "", "log level of operator and verifier: error, info, debug or a number from 1 to 127")
	flags.BoolVar(&opts.samples, "samples", true, "apply config/samples to the namespace default")
	flags.StringVar(&opts.usageURL, "usage-url", "", "PostgreSQL to count usage in, instead of SQLite: postgres://user@localhost:5432/database")
	for name, what := range portNames {
		opts.ports[name] = flags.Int(name+"-port", 0, "port of "+what+"; 0 takes that of the last run, or a free one")
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag; see --help", flags.Arg(0))
	}
	var err error
	opts.dir, err = filepath.Abs(opts.dir)
	return opts, err
}

// runUntilSignalled ends without an error when a signal asks it to. More signals change
// nothing: make passes on what its whole process group got too.
func runUntilSignalled(opts options) error {
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, fail := context.WithCancelCause(signalled)
	defer fail(nil)
	go func() {
		awaitOrphanhood(ctx)
		fail(fmt.Errorf("%w: what started this is gone", context.Canceled))
	}()
	return run(ctx, fail, opts)
}

// awaitOrphanhood returns when the parent has died: make, or a test. Neither can stop this any more.
func awaitOrphanhood(ctx context.Context) {
	parent := os.Getppid()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
