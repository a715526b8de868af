package main

import (
	"context"
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// redisTime is the figure after those of every server: µs of processor time that Redis used for a request.
const redisTime = cpuTime + 1

// sharingServices is a whole verifier process that shares its limits, asked as Envoy asks for leave, beside
// envoyproxy/ratelimit, asked as Envoy asks for a rate limit: as it comes, and as its README advises for many requests; the
// quicker of the two is compared. All count as many keys in the same Redis. Whichever is measured has a processor; the
// load and Redis have the other one.
func (b *bench) sharingServices(ctx context.Context) error {
	path, found := findRatelimit()
	if !found {
		b.report.Note("Not measured: envoyproxy/ratelimit, which is not there. Set CLAVIGER_RATELIMIT to what hack/ratelimit/build.sh prints.")
		return nil
	}
	redis, err := b.startRedis(ctx, b.onLoadCPU)
	if err != nil {
		return err
	}
	v, strict, leased, err := b.sharingVerifier(ctx, redis)
	if err != nil {
		return err
	}
	plain, err := b.startRatelimit(ctx, path, redis)
	if err != nil {
		return err
	}
	buffered, err := b.startRatelimit(ctx, path, redis, "REDIS_PIPELINE_WINDOW=150us")
	if err != nil {
		return err
	}
	var sides []stats.Side
	for _, s := range []struct {
		side
		warm, rest time.Duration
	}{
		{side{"ext_authz, Strict", &v.server, connectToEnvoysDoor, strict}, 0, settling},
		{side{"ext_authz, Leased", &v.server, connectToEnvoysDoor, leased}, leasesGrow, leasesReturn},
		{side{"ratelimit", plain, connectToRatelimit, strict}, 0, 0},
		{side{"ratelimit, buffered", buffered, connectToRatelimit, strict}, 0, 0},
	} {
		opened, err := b.sides(func(name string, server *server, l *load.Load) stats.Side {
			return b.besideRedis(name, server, l, redis, s.warm, s.rest)
		}, s.side)
		if err != nil {
			return err
		}
		sides = append(sides, opened...)
	}
	samples, err := b.alternate(ctx, b.limitRounds(), sides)
	if err != nil {
		return err
	}
	if n, err := redis.counters(ctx); err != nil || n < sharedKeys {
		return fmt.Errorf("envoyproxy/ratelimit was asked about %d keys, and counts %d: %w", sharedKeys, n, err)
	}
	other := quicker(samples[2], samples[3])
	b.addServices("Strict", "limits_strict_ratelimit_ratio", samples[0], other)
	b.addServices("Leased", "limits_leased_ratelimit_ratio", samples[1], other)
	return b.endSharers(ctx, []*verifierProcess{v}, "ext_authz")
}

// quicker is the one that answers more requests.
func quicker(one, other []stats.Sample) []stats.Sample {
	if other[perSecond].Median() > one[perSecond].Median() {
		return other
	}
	return one
}

// sharingVerifier is one with keys whose limits are Strict, and as many whose limits are Leased.
func (b *bench) sharingVerifier(ctx context.Context, redis *redisServer) (v *verifierProcess, strict, leased load.Records, err error) {
	people, err := b.people(2 * sharedKeys)
	if err != nil {
		return nil, strict, leased, err
	}
	api := fakeapi.Start()
	b.cleanup(func() error { api.Close(); return nil })
	kinds := []v1alpha1.Consistency{v1alpha1.ConsistencyStrict, v1alpha1.ConsistencyLeased}
	err = feed(people, limited(api.Load, func(tenant int) v1alpha1.KeyLimitSpec {
		return rate(neverReached, time.Minute, kinds[tenant%len(kinds)])
	}))
	if err != nil {
		return nil, strict, leased, err
	}
	err = b.onServerCPU(func() (err error) {
		v, err = b.startVerifier(ctx, api.Config(), b.path("sharing"), "--limits-url="+redis.url(1))
		return err
	})
	if err != nil {
		return nil, strict, leased, err
	}
	records := people.Keys.Records()
	return v, everyOther(records, 0), everyOther(records, 1), awaitTogether(ctx, 1, func(int) (metrics, error) { return v.metrics(ctx) })
}

// everyOther is half of the records, from the first or the second on.
func everyOther(records load.Records, from int) load.Records {
	half := load.Records{Length: records.Length}
	for i := from; i < records.Count(); i += 2 {
		half.Data = append(half.Data, records.At(i)...)
	}
	return half
}

// besideRedis measures a server under load, and what Redis does for it.
func (b *bench) besideRedis(name string, s *server, l *load.Load, redis *redisServer, warm, rest time.Duration) stats.Side {
	saturated := b.saturatedFor(b.limitSlice(), rest, name, s, l)
	return stats.Side{Name: name, Measure: func() ([]float64, error) {
		if warm > 0 {
			if _, _, err := l.Saturate(warm); err != nil {
				return nil, err
			}
		}
		before, err := cpu.Used(redis.PID())
		if err != nil {
			return nil, err
		}
		start := time.Now()
		figures, err := saturated.Measure()
		if err != nil {
			return nil, err
		}
		took := time.Since(start) - rest
		after, err := cpu.Used(redis.PID())
		if err != nil {
			return nil, err
		}
		answered := figures[perSecond] * took.Seconds()
		return append(figures, microseconds(after-before)/max(answered, 1)), nil
	}}
}

func (b *bench) addServices(what, metric string, one, other []stats.Sample) {
	name := fmt.Sprintf("ext_authz, %s, bare is envoyproxy/ratelimit", what)
	b.addTransport(name, metric, one, other)
	b.addServerTime(name, one, other, redisTime)
}
