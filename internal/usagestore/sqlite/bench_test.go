package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// A flush in which 10,000 of 100,000 known keys were used.
func BenchmarkAddTenThousandKeys(b *testing.B) {
	store, err := Open(context.Background(), b.TempDir()+"/usage.db")
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // a benchmark
	rollups := make([]*usage.Rollup, 10)
	for i := range rollups {
		rollups[i] = usage.NewRollup()
		for j := range 10_000 {
			rollups[i].Add(event(fmt.Sprintf("5f0c2a3e-0000-4000-8000-%012d", j*10+i), november.Add(time.Duration(i)*time.Second), "VALID"))
		}
		if err := store.Add(context.Background(), rollups[i]); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		if err := store.Add(context.Background(), rollups[i%len(rollups)]); err != nil {
			b.Fatal(err)
		}
	}
}
