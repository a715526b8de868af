package main

import (
	"context"
	"fmt"

	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// collectionsAlike is more than the index of a million keys occupies. Servers with a small index
// have it as ballast, so that all of them collect their garbage as often.
const collectionsAlike = 192 << 20

// measureScale is the doors over an index with a million keys, each of them as likely to be
// asked for, and with a thousand, against the same doors over an index with one key.
func measureScale(ctx context.Context, b *bench) error {
	doors := []struct {
		name, metric string
		door         door
	}{
		{"forward-auth", "million_keys_forward_auth_ratio", authDoor.connect},
		{"verify", "million_keys_verify_ratio", verifyDoor.connect},
		{"ext_authz", "million_keys_extauthz_ratio", connectToEnvoysDoor},
	}
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
			connect, err := door.door(server, records)
			if err != nil {
				return err
			}
			l, err := b.open(connect, records, keys)
			if err != nil {
				return err
			}
			sides = append(sides, b.saturated(fmt.Sprintf("%s with %d keys", door.name, keys), server, l))
		}
	}
	samples, err := b.alternate(ctx, b.rounds, sides)
	if err != nil {
		return err
	}
	for i, door := range doors {
		one := samples[2*len(doors)+i]
		name := func(keys int) string {
			return fmt.Sprintf("%s, any of %s keys, against one key: requests/s", door.name, report.Count(float64(keys)))
		}
		b.addRatio(name(b.many), door.metric, samples[i], one)
		b.addRatio(name(1000), "", samples[len(doors)+i], one)
	}
	return nil
}
