package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// sharedKeys are in use, and each has one limit.
const sharedKeys = 1000

// neverReached is what each of them may be asked for in a minute: more than a benchmark asks.
const neverReached = 10_000_000

// Leases lie unused while it is another side's turn, and are given back. So a slice of leased limits begins long before it is
// measured, until leases have grown to what is needed, and the next side waits until they are given back.
const (
	leasesGrow   = 2 * time.Second
	leasesReturn = 1600 * time.Millisecond
)

// measureLimits is the limits that verifiers share: what they cost in process, beside limits that each verifier keeps for
// itself; whether they hold; and what they cost whole services, beside another one.
func measureLimits(ctx context.Context, b *bench) error {
	if _, found := findRedis(); !found {
		b.report.Note("Not measured: there is no valkey-server and no redis-server. Put one on the PATH, or set CLAVIGER_REDIS to what hack/redis/build.sh prints.")
		return nil
	}
	for _, measure := range []func(context.Context) error{b.sharedInProcess, b.admittedAtSaturation, b.sharingServices} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rate is a KeyLimit of one rate for each key.
func rate(requests int64, per time.Duration, consistency v1alpha1.Consistency) v1alpha1.KeyLimitSpec {
	return v1alpha1.KeyLimitSpec{
		Rates:       []v1alpha1.Rate{{Requests: requests, Per: metav1.Duration{Duration: per}}},
		Sharing:     v1alpha1.SharingPerKey,
		Consistency: consistency,
	}
}

// limitRounds are few, as a slice is three of the usual ones and more.
func (b *bench) limitRounds() int { return max(b.rounds/7, 2) }

func (b *bench) limitSlice() time.Duration { return 3 * b.slice }

// addServerTime adds what a request costs the server of the limits.
func (b *bench) addServerTime(what string, one, other []stats.Sample, figure int) {
	row := report.FromSample(what+": CPU time of Redis, bare ÷ verifier", "", "ratio", other[figure].Ratios(one[figure]))
	row.Measured, row.Bare = micros(one[figure].Median()), micros(other[figure].Median())
	b.report.Add(row)
}

// addUnanswered adds a row that tells whether the rows before it can be believed.
func (b *bench) addUnanswered(what string, all, unanswered float64) {
	b.report.Add(report.Row{
		What:  fmt.Sprintf("%s: decided without the server, of %s questions to it", what, report.Count(all)),
		Value: unanswered, Unit: "questions",
	})
}
