package usagerecorder

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

func TestTooManyDetailsBecomeOneAndAreCountedAllTheSame(t *testing.T) {
	b, got := newBounds(), usage.NewRollup()
	const events = maxDetails + 500
	add := func(key string, at time.Time, domain int) {
		e := event(key)
		e.At, e.Domain, e.Tier = at, fmt.Sprint(domain), ""
		got.AddBounded(&e, b.hold)
	}
	for i := range events {
		add("a", start, i)
	}
	add("b", start, 1)                      // another key,
	add("a", start.Add(24*time.Hour), 9999) // and another day
	if sum := eventsIn(got); sum != events+2 {
		t.Errorf("%d events are counted, want %d", sum, events+2)
	}
	if series := got.Lines(); series != maxDetails+1+2 {
		t.Errorf("they are told apart as %d, want %d", series, maxDetails+3)
	}
	for c := range got.All() {
		if c.Domain == Other && c.Count != 500 {
			t.Errorf("%d are others, want 500", c.Count)
		}
	}
}

func TestTooManyDetailsOfAllKeysBecomeOthers(t *testing.T) {
	b, got := newBounds(), usage.NewRollup()
	b.most = 10
	for i := range 20 {
		e := event(fmt.Sprint("key", i%4))
		e.Tier = fmt.Sprint("tier", i)
		got.AddBounded(&e, b.hold)
	}
	known := event("key1")
	known.Tier = "tier1"
	got.AddBounded(&known, b.hold)
	if sum := eventsIn(got); sum != 21 || got.Lines() != 10+4 {
		t.Errorf("%d events are told apart as %d", sum, got.Lines())
	}
}
