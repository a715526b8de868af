package main

import (
	"context"
	"fmt"

	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// oneKeyBallast is about what the index of a million keys occupies: both servers collect their
// garbage as often.
const oneKeyBallast = 128 << 20

// measureScale is the doors over an index with a million keys, each of them as likely to be
// asked for, against the same doors over an index with one key.
func measureScale(ctx context.Context, b *bench) error {
	var sides []stats.Side
	for _, s := range []struct {
		keys, ballast int
	}{{b.many, 0}, {1, oneKeyBallast}} {
		people, err := b.people(s.keys)
		if err != nil {
			return err
		}
		server, err := b.startIndex(ctx, "index", people, childOptions{Ballast: s.ballast})
		if err != nil {
			return err
		}
		records := people.Keys.Records()
		for _, door := range []httpDoor{verifyDoor, authDoor} {
			question, err := door.question(server.address, records)
			if err != nil {
				return err
			}
			l, err := b.open(question.Connect, records, s.keys)
			if err != nil {
				return err
			}
			sides = append(sides, b.saturated(fmt.Sprintf("%s with %d keys", door.path, s.keys), server.PID(), l))
		}
	}
	samples, err := b.alternate(ctx, sides)
	if err != nil {
		return err
	}
	many := report.Count(float64(b.many))
	b.addRatio("forward-auth, any of "+many+" keys against one key: requests/s", "million_keys_ratio", samples[1], samples[3])
	b.addRatio("verify, any of "+many+" keys against one key: requests/s", "", samples[0], samples[2])
	return nil
}
