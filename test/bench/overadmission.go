package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/report"
)

const (
	// allowance is how many requests the one key may make in a span.
	allowance = 1000
	// sharers are verifier processes that share it.
	sharers = 3
	// hammers are the connections to each of them.
	hammers = 16
	// Of the next span so much is seen, too: what one has left must not count in the other.
	intoTheNext = 2 * time.Second
)

// admittedAtSaturation is how many requests of one key three verifier processes admit, asked as fast as they answer for
// longer than the span of its limit. Everything shares the machine; how fast they answer is not what counts.
func (b *bench) admittedAtSaturation(ctx context.Context) error {
	for _, of := range []struct {
		consistency v1alpha1.Consistency
		metric      string
	}{
		{v1alpha1.ConsistencyStrict, "limits_strict_over_percent"},
		{v1alpha1.ConsistencyLeased, "limits_leased_over_percent"},
	} {
		if err := b.saturateAllowance(ctx, of.consistency, of.metric); err != nil {
			return fmt.Errorf("%s at saturation: %w", of.consistency, err)
		}
	}
	return nil
}

func (b *bench) saturateAllowance(ctx context.Context, consistency v1alpha1.Consistency, metric string) error {
	redis, err := b.startRedis(ctx, anywhere)
	if err != nil {
		return err
	}
	defer redis.Kill() //nolint:errcheck // so it will at the end of the run
	people, err := b.people(1)
	if err != nil {
		return err
	}
	api := fakeapi.Start()
	defer api.Close()
	if err := feed(people, limited(api.Load, func(int) v1alpha1.KeyLimitSpec { return rate(allowance, b.perSpan, consistency) })); err != nil {
		return err
	}
	verifiers, err := b.startSharers(ctx, api, redis, string(consistency))
	if err != nil {
		return err
	}
	seen := &admissions{span: b.perSpan}
	asked, took, err := hammer(verifiers, people.Keys.Records(), seen, b.perSpan+intoTheNext)
	if err != nil {
		return err
	}
	admitted := seen.bySpan()
	b.report.Add(report.Row{
		What:   fmt.Sprintf("%s, %d verifiers asked %s times a second: admitted beyond %s in %s", consistency, sharers, report.Count(float64(asked)/took.Seconds()), report.Count(allowance), b.perSpan),
		Metric: metric, Measured: spelled(admitted), Bare: report.Count(allowance), Value: beyond(admitted, allowance), Unit: "%",
	})
	return b.endSharers(ctx, verifiers, string(consistency))
}

func (b *bench) startSharers(ctx context.Context, api *fakeapi.Server, redis *redisServer, name string) ([]*verifierProcess, error) {
	verifiers := make([]*verifierProcess, sharers)
	for i := range verifiers {
		var err error
		if verifiers[i], err = b.startVerifier(ctx, api.Config(), b.path(fmt.Sprint(name, i)), "--limits-url="+redis.url(0)); err != nil {
			return nil, err
		}
	}
	return verifiers, awaitTogether(ctx, sharers, func(i int) (metrics, error) { return verifiers[i].metrics(ctx) })
}

// endSharers asks verifiers whether they decided without the server, and ends them.
func (b *bench) endSharers(ctx context.Context, verifiers []*verifierProcess, what string) error {
	var all, unanswered float64
	for _, v := range verifiers {
		m, err := v.metrics(ctx)
		if err != nil {
			return err
		}
		all, unanswered = all+m.answered()+m.unanswered(), unanswered+m.unanswered()
		if err := v.Kill(); err != nil {
			return err
		}
	}
	b.addUnanswered(what, all, unanswered)
	return nil
}

// hammer asks all verifiers at once about the first key, again and again.
func hammer(verifiers []*verifierProcess, records load.Records, seen *admissions, slice time.Duration) (asked int64, took time.Duration, err error) {
	loads := make([]*load.Load, len(verifiers))
	for i, v := range verifiers {
		question, err := verifyQuestion(v.HTTP, records)
		if err != nil {
			return 0, 0, err
		}
		question.Body, question.Check = nil, seen.see
		if loads[i], err = load.Open(hammers, question.Connect, records, 1); err != nil {
			return 0, 0, err
		}
		defer loads[i].Close() //nolint:errcheck // it was only asked
	}
	counts, errs := make([]int64, len(loads)), make([]error, len(loads))
	var running sync.WaitGroup
	start := time.Now()
	for i, l := range loads {
		running.Go(func() { counts[i], _, errs[i] = l.Saturate(slice) })
	}
	running.Wait()
	for i := range loads {
		asked += counts[i]
		if errs[i] != nil {
			return 0, 0, errs[i]
		}
	}
	return asked, time.Since(start), nil
}

// limited hands over the objects of a population, with a KeyLimit of another kind for each tenant.
func limited(to func(client.Object) error, limit func(tenant int) v1alpha1.KeyLimitSpec) func(client.Object) error {
	tenant := 0
	return func(o client.Object) error {
		if l, ok := o.(*v1alpha1.KeyLimit); ok {
			l.Spec = limit(tenant)
			tenant++
		}
		return to(o)
	}
}

// spelled writes numbers for people.
func spelled(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, report.Count(float64(n)))
	}
	return strings.Join(all, "; ")
}
