package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

// A batch of 64,000 events of 1,000 keys, each with a line in the log.
func BenchmarkAddLines(b *testing.B) {
	store, err := Open(context.Background(), b.TempDir()+"/usage.db")
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // a benchmark
	batch := usage.NewBatch("bench", 0)
	const events = 64_000
	for i := range events {
		e := event(fmt.Sprint(i*7919%1000), november.Add(time.Duration(i)*time.Millisecond), "VALID")
		e.Key = keyid.Derive(fmt.Sprint(i * 7919 % 1000))
		e.Domain, e.RequestID, e.KeepLine = fmt.Sprint("www", i%4, ".example.com"), fmt.Sprintf("%024d", i), time.Hour
		batch.Add(&e, nil)
	}
	b.ResetTimer()
	for b.Loop() {
		batch.First++
		batch.Last++
		if err := store.Add(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
