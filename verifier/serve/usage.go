package serve

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore/postgres"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier"
)

var errNoJournal = errors.New("--usage-url needs a directory of this verifier's own for what is not stored yet: name one with --usage-journal, or a file with --usage-db, beside which it then is")

// journalSuffix makes the name of the journal's directory of that of the database.
const journalSuffix = ".pending"

// buildUsage makes what counts, unless nobody wants that.
func (p *process) buildUsage(ctx context.Context, o Options, registry prometheus.Registerer) (_ verifier.Recorder, err error) {
	if o.UsageDB != "" || o.Manifests == "" && o.UsageStore.URL == "" {
		if p.disk, err = sqlite.Open(ctx, o.UsageDB); err != nil {
			return nil, err
		}
	}
	switch {
	case o.UsageStore.URL != "":
		o.UsageStore.Log = o.Log.WithName("usage")
		if p.usage, err = postgres.Open(ctx, o.UsageStore); err != nil {
			return nil, err
		}
	case p.disk != nil:
		p.usage = p.disk
	default:
		return nil, nil
	}
	if o.UsageJournal == "" && o.UsageDB == "" {
		return nil, errNoJournal
	}
	if o.UsageJournal == "" {
		o.UsageJournal = o.UsageDB + journalSuffix
	}
	journal, err := usagejournal.Open(o.UsageJournal)
	if err != nil {
		return nil, err
	}
	p.recorder, err = usagerecorder.New(usagerecorder.Options{
		Store: p.usage, Journal: journal, Clock: clock.RealClock{}, Registerer: registry, Log: o.Log.WithName("usage"),
	})
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	return p.recorder, nil
}

// counts is where what is used of the limits is kept over restarts: on this verifier's disk, and be its usage elsewhere.
func (p *process) counts() local.Disk {
	if p.disk == nil {
		return nil
	}
	return p.disk
}
