package usagerecorder

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/usage"
)

func BenchmarkRecord(b *testing.B) {
	r := newRecorder(b, newMemory(), b.TempDir(), clock.RealClock{}, logr.Discard())
	events := someEvents()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			r.Record(events[i%len(events)])
		}
	})
	var dropped dto.Metric
	if err := r.metrics.dropped.Write(&dropped); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(dropped.GetCounter().GetValue()/float64(b.N), "dropped/op")
}

func someEvents() []usage.Event {
	events := make([]usage.Event, 64)
	for i := range events {
		events[i] = event(fmt.Sprint(i % 16))
		events[i].At = start.Add(time.Duration(i) * time.Millisecond)
	}
	return events
}

// What an event costs on its way, without waiting for others: for the request that pushes it, and
// for the collector.
func BenchmarkAnEventThatIs(b *testing.B) {
	q, bounds, into := newQueue(ringSize, queueSize), newBounds(), usage.NewBatch("", 0)
	hold := bounds.hold
	events, refused := someEvents(), someEvents()
	for i := range refused {
		refused[i].Status, refused[i].Error = usage.Denied, "RATE_LIMITED"
		refused[i].Refusal = &usage.Refusal{By: "5f0c2a3e-0000-4000-8000-000000000001", Until: start}
	}
	push := func() {
		for i := range 1024 {
			q.push(&events[i%len(events)])
		}
	}
	b.Run("pushed", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; n += 1024 {
			push()
			b.StopTimer()
			q.drain(func(*usage.Event) {})
			b.StartTimer()
		}
	})
	b.Run("pushed and counted", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; n += 1024 {
			push()
			q.drain(func(e *usage.Event) { into.Add(e, hold) })
		}
	})
	for name, list := range map[string][]usage.Event{"counted": events, "counted and was refused": refused} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := range b.N {
				into.Add(&list[n%len(list)], hold)
			}
		})
	}
}
