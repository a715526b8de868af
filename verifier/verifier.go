// Package verifier decides whether a request may pass: whose key it bears, and whether that
// key may do what is asked, now, from there, this often. It is the data plane as a library, for use
// inside a service; its doors are in the packages below it, package httpapi with a middleware for net/http.
//
// A decision is made in memory. It waits for no API server, no database and no other request, unless a limit is
// shared with other verifiers and is to be asked for (SharedLimits), and, for keys with up to four limits, takes no memory of its own.
package verifier

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/once"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/throttle"
	"github.com/claviger-dev/claviger/internal/usage"
)

// Recorder is told every decision about a known key, and every outcome that is reported. Record is called while a
// request waits and must not block; what it cannot take it must count as lost. Report returns once the outcome is
// where it outlives the process. It may be told an outcome that another verifier has recorded, or this one before it was started
// again: of several with one key and request ID, only the first counts.
type Recorder interface {
	Record(usage.Event)
	Report(usage.Event)
}

// Options are what a Verifier is made of.
type Options struct {
	// Source is where the keys come from. Run follows it.
	Source Source
	// Index holds keys that somebody else keeps true; it is set instead of a Source, within this
	// module.
	Index *keyindex.Index
	// SharedLimits is where limits are counted together with other verifiers; nil: they are counted in this
	// process alone.
	SharedLimits *SharedLimits
	// Counts keeps what is used of the limits over restarts; nil: nobody does. It is for this module.
	Counts local.Disk
	// Log gets what an operator should know; the zero Logger keeps it to itself.
	Log logr.Logger
	// Recorder is told of decisions; nil: nobody is.
	Recorder Recorder
	// Registerer gets the metrics; nil: they are kept from view.
	Registerer prometheus.Registerer
	// MetricsPerKey counts the requests of each key, in series of its own.
	MetricsPerKey bool
	// InvalidKeysPerMinute is how many keys that are not valid may come from one address, or
	// from one /64 of IPv6, before they are answered RATE_LIMITED; zero is DefaultInvalidKeysPerMinute,
	// less than zero is any number. Valid keys are never counted, nor held up.
	InvalidKeysPerMinute int
	// Now is the clock, read once for each decision; nil: the system's.
	Now func() time.Time
}

// DefaultInvalidKeysPerMinute bears a client that was configured wrongly, and many of them behind
// one address for a while.
const DefaultInvalidKeysPerMinute = 120

// So many sources of invalid keys are remembered, in half a megabyte.
const rememberedSources = 1 << 16

// For so long a second report of a request is known for one, of so many requests, in about 50 MB.
const (
	reportsWindow     = 10 * time.Minute
	rememberedReports = 1 << 20
)

// Verifier decides. Its methods may be called from any goroutine.
type Verifier struct {
	log      logr.Logger
	index    *keyindex.Index
	recorder Recorder
	now      func() time.Time
	metrics  *metrics
	perKey   *keyMetrics     // nil: nobody wants them
	keeper   *local.Keeper   // nil: what is used of the limits is kept in memory alone
	keys     follower        // nil: somebody else keeps the index true
	reports  *once.Table     // requests that were reported
	turns    turns           // of those that are being reported
	shared   *shared         // nil: limits are counted in this process alone
	sources  *throttle.Table // of invalid keys
}

// New makes a Verifier. It fails where the options lack a source, the source is a directory with a mistake
// in it, or its metrics are registered already.
func New(o Options) (*Verifier, error) {
	if (o.Source == nil) == (o.Index == nil) {
		return nil, errors.New("verifier: set Options.Source to a Cluster or a Directory, or there is nothing to verify keys against")
	}
	v := &Verifier{log: o.Log, index: o.Index, recorder: o.Recorder, now: o.Now, reports: once.New(reportsWindow, rememberedReports)}
	if v.now == nil {
		v.now = time.Now
	}
	perMinute := cmp.Or(o.InvalidKeysPerMinute, DefaultInvalidKeysPerMinute)
	v.sources = throttle.New(throttle.Options{PerMinute: perMinute, Burst: perMinute, Size: rememberedSources})
	if o.Source != nil {
		v.index = keyindex.New()
		v.index.UseClock(v.now)
		var err error
		if v.keys, err = o.Source.open(parts{v.index, o.Log, o.Registerer, v.now}); err != nil {
			return nil, err
		}
	}
	if o.Counts != nil {
		var err error
		if v.keeper, err = local.Restore(context.Background(), v.index.Buckets(), o.Counts, clock.RealClock{}, o.Log.WithName("limits")); err != nil {
			return nil, err
		}
	}
	if o.SharedLimits != nil {
		var err error
		if v.shared, err = newShared(*o.SharedLimits, o.Log.WithName("limits"), o.Registerer); err != nil {
			return nil, err
		}
	}
	v.metrics = newMetrics(v.index)
	if o.MetricsPerKey {
		v.perKey = &keyMetrics{known: v.Known}
	}
	if o.Registerer != nil {
		if err := v.metrics.register(o.Registerer); err != nil {
			return nil, err
		}
		if v.perKey != nil {
			if err := o.Registerer.Register(v.perKey); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// Verify decides, and counts a valid request against the key's limits. The context is for
// decisions that have to ask elsewhere, where limits are shared.
func (v *Verifier) Verify(ctx context.Context, r Request) (d Decision) {
	v.decide(ctx, &d, &r, true)
	v.metrics.decisions.count(d.Code)
	return d
}

// Inspect decides as Verify would, but takes nothing from the limits, which therefore never refuse,
// and nothing is recorded. It is for whoever asks what a key is. Invalid keys count as they do in
// Verify, or keys could be tried here.
func (v *Verifier) Inspect(ctx context.Context, r Request) (d Decision) {
	v.decide(ctx, &d, &r, false)
	return d
}

// slow tells a source that sends invalid keys again and again to wait. Keys of another workspace
// count as well, or they could be told from unknown ones by this.
func (v *Verifier) slow(d *Decision, source netip.Addr) {
	wait, throttled := v.sources.Failed(source, d.At)
	if !throttled {
		return
	}
	v.metrics.throttled.Inc()
	at, checks := d.At, d.Checks
	if checks != nil {
		for i := range checks {
			checks[i].Decided = false
		}
		checks = append(checks, Check{Name: "source", Outcome: policy.Failed, Code: policy.CodeRateLimited, Decided: true})
	}
	*d = Decision{At: at, RetryAfter: wait, Checks: checks}
	d.answer(policy.CodeRateLimited)
}

// decide writes into a decision that the caller has, because it is large, and would be copied from
// one function to the next.
func (v *Verifier) decide(ctx context.Context, d *Decision, r *Request, counts bool) {
	d.At = v.now()
	if err := r.validate(); err != nil {
		d.answer(policy.CodeRequestInvalid)
		d.Error += ": " + err.Error()
		return
	}
	if r.Key == "" {
		d.answer(policy.CodeKeyRequired)
		return
	}
	var entry keyindex.Entry
	if v.lookup(r.Key, &entry) {
		v.decideKnown(ctx, d, r, &entry, counts)
	} else {
		d.answer(policy.CodeKeyInvalid)
		if r.Explain {
			d.Checks = append(policy.Explain(&policy.Request{}, nil, d.At), limitsCheck(d.Code, false))
		}
	}
	if d.Code.Public() == policy.CodeKeyInvalid {
		v.slow(d, r.ClientIP)
	}
}

// decideKnown decides about a key that exists, and has the decision recorded.
func (v *Verifier) decideKnown(ctx context.Context, d *Decision, r *Request, entry *keyindex.Entry, counts bool) {
	asked := policy.Request{
		AllOf:     r.Scopes.AllOf,
		AnyOf:     r.Scopes.AnyOf,
		Workspace: r.Workspace,
		Resource:  r.Resource,
		ClientIP:  r.ClientIP,
	}
	code := policy.Check(&asked, &entry.Record, d.At)

	var left counted
	if code == policy.CodeValid && counts {
		v.take(ctx, &left, &d.Limits, entry, r, d.At)
		code = left.code
	} else {
		v.look(&d.Limits, entry, d.At)
	}
	if v.recorder != nil && counts {
		v.recorder.Record(decided(code, r, entry, left.refusal, d))
	}

	if v.perKey != nil && counts {
		v.perKey.count(entry.Key.ID, code)
	}
	d.answer(code)
	if tellsIdentity(code) {
		d.Key = identity(&entry.Record, r.Resource)
	}
	if code == policy.CodeValid || code.OfLimits() {
		d.RetryAfter = left.retryAfter
	} else {
		d.Limits = Limits{}
	}
	if r.Explain {
		d.Checks = append(policy.Explain(&asked, &entry.Record, d.At), limitsCheck(code, counts))
	}
}

// limitsCheck tells of the last check, which is made only where all others passed, and the request
// counts.
func limitsCheck(code Code, counts bool) Check {
	switch {
	case counts && code == policy.CodeValid:
		return Check{Name: "limits", Outcome: policy.Passed}
	case counts && code.OfLimits():
		return Check{Name: "limits", Outcome: policy.Failed, Code: code, Decided: true}
	}
	return Check{Name: "limits", Outcome: policy.Skipped}
}
