package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

// A batch of 64,000 events of 1,000 keys, each with a line in the log.
func BenchmarkAddLines(b *testing.B) {
	store := open(b, postgresserver.Start(b).Database())
	batch := usage.NewBatch("bench", 0)
	const events = 64_000
	at := time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)
	for i := range events {
		e := usage.Event{
			Key: keyid.Derive(fmt.Sprint(i * 7919 % 1000)), Attribution: usage.Attribution{Workspace: "team/shop"}, At: at.Add(time.Duration(i) * time.Millisecond),
			PeriodStart: usagefeed.PeriodStart(at), Details: usage.Details{Domain: fmt.Sprint("www", i%3, ".example.com")}, RequestID: fmt.Sprintf("%024d", i),
			KeepLine: time.Hour, Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
		}
		batch.Add(&e, nil)
	}
	b.ResetTimer()
	for b.Loop() {
		batch.First++
		batch.Last++
		if err := store.Add(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
