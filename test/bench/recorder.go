package main

import (
	"context"
	"os"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier"
)

// discard is a store that keeps nothing: what a recorder costs a request does not depend on it.
type discard struct{}

func (discard) Add(context.Context, *usage.Batch) error { return nil }

func (discard) Stored(context.Context, string) (int64, error) { return 0, nil }

// notCounted is for childOptions.Usage: nothing is counted.
const notCounted = "no"

// recorderOf is the recorder that a child is to have.
func recorderOf(o childOptions, registerer prometheus.Registerer) (verifier.Recorder, error) {
	switch o.Usage {
	case "":
		return newRecorder(registerer)
	case notCounted:
		return nil, nil
	}
	store, err := sqlite.Open(context.Background(), o.Usage)
	if err != nil {
		return nil, err
	}
	return startRecorder(store, o.Usage+".pending", registerer)
}

// startRecorder is a recorder as a verifier has it.
func startRecorder(store usagestore.Writer, dir string, registerer prometheus.Registerer) (*usagerecorder.Recorder, error) {
	journal, err := usagejournal.Open(dir)
	if err != nil {
		return nil, err
	}
	return usagerecorder.New(usagerecorder.Options{
		Store: store, Journal: journal, Clock: clock.RealClock{}, Registerer: registerer, Log: logr.Discard(),
	})
}

// newRecorder is a recorder with all but a store. Its journal stays behind in the system's directory for such, empty: a child of
// the bench is killed when it is done.
func newRecorder(registerer prometheus.Registerer) (*usagerecorder.Recorder, error) {
	dir, err := os.MkdirTemp("", "claviger-bench-journal-")
	if err != nil {
		return nil, err
	}
	return startRecorder(discard{}, dir, registerer)
}
