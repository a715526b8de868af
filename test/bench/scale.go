package main

import (
	"context"
	"fmt"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// collectionsAlike is more than the index of a million keys occupies. Servers with a small index
// have it as ballast, so that all of them collect their garbage as often.
const collectionsAlike = 192 << 20

// measureScale is the doors over an index with a million keys, each of them as likely to be
// asked for, and with a thousand, against the same doors over an index with one key.
func measureScale(ctx context.Context, b *bench) error {
	doors := []string{"forward-auth", "verify", "ext_authz"}
	sizes := []int{b.many, 1000, 1}
	var sides []stats.Side
	for _, keys := range sizes {
		people, err := b.people(keys)
		if err != nil {
			return err
		}
		o := childOptions{Ballast: collectionsAlike}
		if keys == b.many {
			o.Ballast = 0
		}
		server, err := b.startIndex(ctx, people, o)
		if err != nil {
			return err
		}
		records := people.Keys.Records()
		for _, door := range doors {
			connect, err := connectTo(door, server, records)
			if err != nil {
				return err
			}
			l, err := b.open(connect, records, keys)
			if err != nil {
				return err
			}
			sides = append(sides, b.saturated(fmt.Sprintf("%s with %d keys", door, keys), server, l))
		}
	}
	samples, err := b.alternate(ctx, b.rounds, sides)
	if err != nil {
		return err
	}
	for i, door := range doors {
		one := samples[2*len(doors)+i]
		name := func(keys int) string {
			return fmt.Sprintf("%s, any of %s keys, against one key: requests/s", door, report.Count(float64(keys)))
		}
		b.addRatio(name(b.many), "million_keys_"+metricOf(door)+"_ratio", samples[i], one)
		b.addRatio(name(1000), "", samples[len(doors)+i], one)
	}
	return nil
}

// connectTo connects to a door of a server.
func connectTo(door string, s *server, records load.Records) (func() (load.Peer, error), error) {
	question := verifyQuestion
	switch door {
	case "ext_authz":
		return connectToEnvoysDoor(s, records)
	case "forward-auth":
		question = authQuestion
	}
	q, err := question(s.HTTP, records)
	if err != nil {
		return nil, err
	}
	return q.Connect, nil
}

func metricOf(door string) string {
	return map[string]string{"forward-auth": "forward_auth", "verify": "verify", "ext_authz": "extauthz"}[door]
}
