package usage

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyid"
)

var (
	start = time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)
	a, b  = keyid.Derive("a"), keyid.Derive("b")
)

func TestRollupCountsByKeyHourAndDecision(t *testing.T) {
	r := NewRollup()
	r.Add(Event{Key: a, Workspace: "w", At: start, Code: "VALID", Remaining: 9, ResetAt: start})
	r.Add(Event{Key: a, Workspace: "w", At: start.Add(time.Second), Code: "VALID", Remaining: 8})
	r.Add(Event{Key: a, Workspace: "w", At: start.Add(time.Second), Code: "RATE_LIMITED"})
	r.Add(Event{Key: a, Workspace: "w", At: start.Add(time.Minute).In(time.FixedZone("east", 3600)), Code: "VALID", Remaining: NoLimit})
	r.Add(Event{Key: b, Workspace: "w", At: start, Code: "VALID"})

	march, april := start.Truncate(time.Hour), start.Add(time.Minute).Truncate(time.Hour)
	want := map[Hour]int64{
		{a, "w", march, "VALID"}:        2,
		{a, "w", march, "RATE_LIMITED"}: 1,
		{a, "w", april, "VALID"}:        1,
		{b, "w", march, "VALID"}:        1,
	}
	if !reflect.DeepEqual(r.Hours, want) {
		t.Errorf("got %v, want %v", r.Hours, want)
	}
	if last := r.Last[a]; !last.UsedAt.Equal(start.Add(time.Minute)) || last.Remaining != NoLimit {
		t.Errorf("last of a: %+v", last)
	}
}

// However events are spread over roll-ups and in whatever order these are merged, the
// counts are the same: a failed flush may be merged into a later one.
func TestMergingInAnyOrderCountsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOf(rapid.Custom(drawEvent)).Draw(t, "events")
		parts := []*Rollup{NewRollup(), NewRollup(), NewRollup()}
		whole := NewRollup()
		for _, e := range events {
			whole.Add(e)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(e)
		}
		merged := NewRollup()
		for _, part := range rapid.Permutation(parts).Draw(t, "order") {
			merged.Merge(part)
		}
		if !reflect.DeepEqual(merged, whole) {
			t.Fatalf("merged %v, whole %v", merged, whole)
		}
		if whole.Empty() != (len(events) == 0) {
			t.Fatal("emptiness is wrong")
		}
	})
}

func drawEvent(t *rapid.T) Event {
	at := start.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute)
	return Event{
		Key:       rapid.SampledFrom([]keyid.ID{a, b}).Draw(t, "key"),
		Workspace: "w",
		At:        at,
		Code:      rapid.SampledFrom([]string{"VALID", "KEY_EXPIRED"}).Draw(t, "code"),
		Remaining: rapid.Int64Range(-1, 3).Draw(t, "remaining"),
		ResetAt:   at,
	}
}
