package main

import (
	"context"
	"fmt"
	"os"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
)

// The bare server has so much room that it hardly ever has to collect garbage. A verifier has
// its index, so without this the comparison would flatter it.
const bareBallast = 64 << 20

// httpDoor is a door, and how it is asked.
type httpDoor struct {
	path     string
	question func(address string, records load.Records) (*load.HTTP, error)
}

var (
	verifyDoor = httpDoor{"/v1/verify", verifyQuestion}
	authDoor   = httpDoor{"/v1/auth", authQuestion}
	// the same, asked by somebody who tries keys
	strangerDoor = httpDoor{"/v1/auth", strangerQuestion}
)

func (d httpDoor) connect(s *server, records load.Records) (connect, error) {
	question, err := d.question(s.HTTP, records)
	if err != nil {
		return nil, err
	}
	return question.Connect, nil
}

// measureHTTP is the HTTP doors against a bare net/http handler that reads and writes the same
// bytes; the doors alone, then in a whole verifier process. Each server has a processor; then
// all share all.
func measureHTTP(ctx context.Context, b *bench) error {
	people, err := b.people(b.keys)
	if err != nil {
		return err
	}
	unknown, err := b.unknown()
	if err != nil {
		return err
	}
	doors, err := b.startIndex(ctx, people, childOptions{})
	if err != nil {
		return err
	}
	records := people.Keys.Records()
	bare, err := b.bareHTTP(ctx, doors.HTTP, records)
	if err != nil {
		return err
	}
	sides, err := b.sides(b.saturated,
		side{"verify", doors, verifyDoor.connect, records},
		side{"bare verify", bare, verifyDoor.connect, records},
		side{"forward-auth", doors, authDoor.connect, records},
		side{"bare forward-auth", bare, authDoor.connect, records},
		side{"forward-auth of unknown keys", doors, strangerDoor.connect, unknown.Records()},
	)
	if err != nil {
		return err
	}
	samples, err := b.alternate(ctx, b.rounds, sides)
	if err != nil {
		return err
	}
	b.addTransport(fmt.Sprintf("verify, %s keys", b.usual()), "http_verify_ratio", samples[0], samples[1])
	b.addTransport(fmt.Sprintf("forward-auth, %s keys", b.usual()), "forward_auth_ratio", samples[2], samples[3])
	b.addRatio("forward-auth of unknown keys, against known ones: requests/s", "", samples[4], samples[2])
	if err := b.httpOfProcess(ctx, bare, records); err != nil {
		return err
	}
	return b.onAllCores(func() error { return b.httpOnAllCores(ctx, people, records) })
}

// httpOfProcess is a whole verifier process, fed by an API server, which stores its usage in a
// database: what that and the feed cost besides.
func (b *bench) httpOfProcess(ctx context.Context, bare *server, records load.Records) error {
	v, err := b.fedVerifier(ctx)
	if err != nil {
		return err
	}
	sides, err := b.sides(b.saturatedProcess,
		side{"verify by a process", &v.server, verifyDoor.connect, records},
		side{"forward-auth by a process", &v.server, authDoor.connect, records},
	)
	if err != nil {
		return err
	}
	bareSides, err := b.sides(b.saturated,
		side{"bare verify", bare, verifyDoor.connect, records},
		side{"bare forward-auth", bare, authDoor.connect, records},
	)
	if err != nil {
		return err
	}
	samples, err := b.alternate(ctx, b.processRounds(), append(sides, bareSides...))
	if err != nil {
		return err
	}
	b.addTransport("verify, a whole process that stores usage", "process_verify_ratio", samples[0], samples[2])
	b.addTransport("forward-auth, a whole process that stores usage", "process_forward_auth_ratio", samples[1], samples[3])
	return nil
}

// httpOnAllCores is the same where server and load share all processors.
func (b *bench) httpOnAllCores(ctx context.Context, people *population.Population, records load.Records) error {
	doors, err := b.startIndex(ctx, people, childOptions{})
	if err != nil {
		return err
	}
	bare, err := b.bareHTTP(ctx, doors.HTTP, records)
	if err != nil {
		return err
	}
	sides, err := b.sides(b.saturated,
		side{"verify on all cores", doors, verifyDoor.connect, records},
		side{"bare verify on all cores", bare, verifyDoor.connect, records},
		side{"forward-auth on all cores", doors, authDoor.connect, records},
		side{"bare forward-auth on all cores", bare, authDoor.connect, records},
	)
	if err != nil {
		return err
	}
	samples, err := b.alternate(ctx, b.rounds, sides)
	if err != nil {
		return err
	}
	b.addTransport("verify, server and load on all cores", "", samples[0], samples[1])
	b.addTransport("forward-auth, server and load on all cores", "", samples[2], samples[3])
	return nil
}

// bareHTTP starts the bare server, with what a verifier at an address answers.
func (b *bench) bareHTTP(ctx context.Context, address string, records load.Records) (*server, error) {
	o := childOptions{Answers: map[string]string{}, Ballast: bareBallast}
	answers := map[string][]byte{}
	for i, door := range []httpDoor{verifyDoor, authDoor} {
		question, err := door.question(address, records)
		if err != nil {
			return nil, err
		}
		if answers[door.path], err = question.Record(records.At(0)); err != nil {
			return nil, err
		}
		o.Answers[door.path] = b.path(fmt.Sprint("answer", i))
		if err := os.WriteFile(o.Answers[door.path], answers[door.path], 0o600); err != nil {
			return nil, err
		}
	}
	bare, err := b.startChild(ctx, "bare-http", o)
	if err != nil {
		return nil, err
	}
	for _, door := range []httpDoor{verifyDoor, authDoor} {
		question, err := door.question(bare.HTTP, records)
		if err != nil {
			return nil, err
		}
		answer, err := question.Record(records.At(0))
		if err != nil {
			return nil, err
		}
		if err := sameSize(answers[door.path], answer); err != nil {
			return nil, err
		}
	}
	return bare, nil
}
