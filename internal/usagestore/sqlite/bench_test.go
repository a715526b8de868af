package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// A flush in which 10,000 of 100,000 known keys were used.
func BenchmarkAddTenThousandKeys(b *testing.B) {
	benchmarkAdd(b, func(key string, at time.Time) usage.Event { return event(key, at, "VALID") })
}

// The same where a limit refused each of them.
func BenchmarkAddTenThousandKeysThatAreRefused(b *testing.B) {
	benchmarkAdd(b, func(key string, at time.Time) usage.Event { return refused(key, "limit", at, at.Add(time.Hour)) })
}

func benchmarkAdd(b *testing.B, event func(key string, at time.Time) usage.Event) {
	store, rollups := manyKeys(b, event)
	for i := 0; b.Loop(); i++ {
		if err := addRollup(store, rollups[i%len(rollups)]); err != nil {
			b.Fatal(err)
		}
	}
}

// manyKeys is a store that knows 100,000 keys, and the ten roll-ups that told it of them.
func manyKeys(b *testing.B, event func(key string, at time.Time) usage.Event) (*Store, []*usage.Rollup) {
	b.Helper()
	store, err := Open(context.Background(), b.TempDir()+"/usage.db")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() }) //nolint:errcheck // a benchmark
	rollups := make([]*usage.Rollup, 10)
	for i := range rollups {
		rollups[i] = usage.NewRollup()
		for j := range 10_000 {
			put(rollups[i], event(fmt.Sprintf("5f0c2a3e-0000-4000-8000-%012d", j*10+i), november.Add(time.Duration(i)*time.Second)))
		}
		if err := addRollup(store, rollups[i]); err != nil {
			b.Fatal(err)
		}
	}
	return store, rollups
}

// With 100,000 keys that are refused: what the feed of limits costs at each read of it, and what looking for those that
// are over costs every ten seconds.
func BenchmarkAHundredThousandRefusedKeys(b *testing.B) {
	store, _ := manyKeys(b, func(key string, at time.Time) usage.Event { return refused(key, "limit", at, at.Add(time.Hour)) })
	now := november.Add(time.Minute)
	b.Run("Limits", func(b *testing.B) {
		for b.Loop() {
			if page, err := store.Limits(context.Background(), 0, now); err != nil || page.Limits[0].ThrottledKeys != 100_000 {
				b.Fatal(page, err)
			}
		}
	})
	b.Run("Lapse", func(b *testing.B) {
		for b.Loop() {
			if over, err := store.Lapse(context.Background(), now, func(keyid.ID, string) bool { return true }); err != nil || over != 0 {
				b.Fatal(over, err)
			}
		}
	})
}
