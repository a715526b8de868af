package valkey

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

//go:embed heartbeat.lua
var heartbeatText string

var heartbeat = rueidis.NewLuaScript(heartbeatText)

const (
	// Each second this process tells each server that it is there, which also shows that the server can
	// be written to.
	beat = time.Second
	// A verifier that ended without saying so is counted for so long.
	presence = 10 * time.Second
)

// verifiers is how many there are, as far as is known. A server that was emptied hears of them one
// after the other, so a number counts for as long as it takes until all have been heard.
type verifiers struct {
	most  [2]atomic.Int64 // of the time that runs, and of the one before
	until atomic.Int64    // when that ends
}

func (v *verifiers) heard(n int64, now time.Time) {
	if until := v.until.Load(); now.UnixNano() >= until && v.until.CompareAndSwap(until, now.Add(presence/2).UnixNano()) {
		v.most[1].Store(v.most[0].Swap(n))
	}
	v.most[0].Store(max(n, v.most[0].Load()))
}

func (v *verifiers) number() int { return int(max(1, v.most[0].Load(), v.most[1].Load())) }

// Verifiers is how many share the limits, as far as is known: at least 1.
func (s *Store) Verifiers() int { return s.verifiers.number() }

// beat tells a server that this verifier is there.
func (s *Store) beat(ctx context.Context, c *connection, key string) error {
	answer := c.do(func(client rueidis.Client) rueidis.RedisResult {
		return heartbeat.Exec(ctx, client, []string{key}, []string{s.id, strconv.FormatInt(presence.Milliseconds(), 10)})
	})
	n, err := answer.AsInt64()
	if err != nil {
		return err
	}
	if n < 1 || n > 1<<20 {
		return fmt.Errorf("the server counts %d verifiers", n)
	}
	s.verifiers.heard(n, time.Now())
	return nil
}

// leave tells it that this verifier is gone.
func (s *Store) leave(ctx context.Context, c *connection, key string) {
	c.do(func(client rueidis.Client) rueidis.RedisResult {
		return client.Do(ctx, client.B().Zrem().Key(key).Member(s.id).Build())
	})
}
