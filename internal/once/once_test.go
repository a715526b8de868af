package once

import (
	"strconv"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, b  = keyid.Derive("a"), keyid.Derive("b")
)

func TestARequestIsSeenOnceWithinTheWindow(t *testing.T) {
	table := New(time.Minute, 100)
	for _, step := range []struct {
		key     keyid.ID
		request string
		after   time.Duration
		want    bool
	}{
		{a, "1", 0, false}, {a, "1", 0, true}, {b, "1", 0, false}, {a, "2", time.Second, false},
		{a, "1", 59 * time.Second, true}, {a, "1", 61 * time.Second, true},
		{a, "1", 10 * time.Minute, true}, // it was remembered with each time it came
		{b, "1", 10 * time.Minute, false},
	} {
		if got := table.Seen(step.key, step.request, start.Add(step.after)); got != step.want {
			t.Errorf("%s of %s after %v: seen %v, want %v", step.request, step.key, step.after, got, step.want)
		}
	}
}

func TestWhatCameToNothingIsNew(t *testing.T) {
	table := New(time.Minute, 100)
	table.Seen(a, "1", start)
	table.Forget(a, "1")
	if table.Seen(a, "1", start) {
		t.Error("it is taken for seen")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	table := New(time.Hour, 100)
	for i := range 10_000 {
		table.Seen(a, strconv.Itoa(i), start)
	}
	if held := len(table.young) + len(table.old); held > 100 {
		t.Errorf("%d are remembered", held)
	}
	if !table.Seen(a, "9999", start) {
		t.Error("the last is forgotten")
	}
}

func TestAClockSetBackForgetsInTime(t *testing.T) {
	table := New(time.Minute, 100)
	table.Seen(a, "1", start.Add(time.Hour))
	if !table.Seen(a, "1", start) {
		t.Error("setting the clock back lets a request count twice")
	}
}
