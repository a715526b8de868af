package main

import (
	"context"
	"fmt"
	"os"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/stats"
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

// measureHTTP is a whole verifier process, fed by an API server, against a bare net/http
// handler that reads and writes the same bytes.
func measureHTTP(ctx context.Context, b *bench) error {
	v, err := b.fedVerifier(ctx)
	if err != nil {
		return err
	}
	people, err := b.people(b.keys)
	if err != nil {
		return err
	}
	unknown, err := b.unknown()
	if err != nil {
		return err
	}
	records, hot := people.Keys.Records(), min(b.keys, population.Hot)
	bare, err := b.bareHTTP(ctx, v.HTTP, records)
	if err != nil {
		return err
	}
	var sides []stats.Side
	for _, s := range []struct {
		name    string
		server  *server
		door    httpDoor
		records load.Records
	}{
		{"verify", &v.server, verifyDoor, records},
		{"bare verify", bare, verifyDoor, records},
		{"forward-auth", &v.server, authDoor, records},
		{"bare forward-auth", bare, authDoor, records},
		{"forward-auth of unknown keys", &v.server, strangerDoor, unknown.Records()},
	} {
		question, err := s.door.question(s.server.HTTP, s.records)
		if err != nil {
			return err
		}
		l, err := b.open(question.Connect, s.records, hot)
		if err != nil {
			return err
		}
		sides = append(sides, b.saturated(s.name, s.server, l))
	}
	samples, err := b.alternate(ctx, sides)
	if err != nil {
		return err
	}
	b.addTransport(fmt.Sprintf("verify, %s keys", b.usual()), "http_verify_ratio", samples[0], samples[1])
	b.addTransport(fmt.Sprintf("forward-auth, %s keys", b.usual()), "forward_auth_ratio", samples[2], samples[3])
	b.addRatio("forward-auth of unknown keys, against known ones: requests/s", "", samples[4], samples[2])
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
