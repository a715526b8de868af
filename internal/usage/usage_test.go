package usage

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyid"
)

var (
	start = time.Date(2026, 3, 31, 23, 59, 0, 0, time.UTC)
	a, b  = keyid.Derive("a"), keyid.Derive("b")
)

func of(workspace string) Attribution { return Attribution{Workspace: workspace} }

// denied are the details of a request that was denied with a code; "VALID": that was allowed.
func denied(code string) Details {
	if code == "VALID" {
		return Details{}
	}
	return Details{Status: Denied, Error: code}
}

// counted is all that was counted, by bucket.
func counted(r *Rollup) map[Bucket]Measures {
	counts := map[Bucket]Measures{}
	for c := range r.All() {
		counts[c.Bucket] = c.Measures
	}
	return counts
}

func lasts(r *Rollup) map[keyid.ID]Last {
	all := map[keyid.ID]Last{}
	for key, use := range r.Keys {
		all[key] = use.Last
	}
	return all
}

func TestRollupCountsByKeyHourAndDecision(t *testing.T) {
	r := NewRollup()
	r.Add(&Event{Key: a, Attribution: of("w"), At: start, Remaining: 9, ResetAt: start})
	r.Add(&Event{Key: a, Attribution: of("w"), At: start.Add(time.Second), Remaining: 8})
	r.Add(&Event{Key: a, Attribution: of("w"), At: start.Add(time.Second), Details: denied("RATE_LIMITED")})
	r.Add(&Event{Key: a, Attribution: of("w"), At: start.Add(time.Minute).In(time.FixedZone("east", 3600)), Remaining: NoLimit, BudgetRemaining: 7, BudgetResetAt: start})
	r.Add(&Event{Key: b, Attribution: of("w"), At: start})

	march, april := start.Truncate(time.Hour).Unix(), start.Add(time.Minute).Truncate(time.Hour).Unix()
	want := map[Bucket]Measures{
		{Series{a, of("w"), Details{}}, march}:              {Count: 2},
		{Series{a, of("w"), denied("RATE_LIMITED")}, march}: {Count: 1},
		{Series{a, of("w"), Details{}}, april}:              {Count: 1},
		{Series{b, of("w"), Details{}}, march}:              {Count: 1},
	}
	if got := counted(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if last := r.Keys[a].Last; !last.UsedAt.Equal(start.Add(time.Minute)) || last.Remaining != NoLimit || last.BudgetRemaining != 7 || !last.BudgetResetAt.Equal(start) {
		t.Errorf("last of a: %+v", last)
	}
	if len(r.Refused) != 0 {
		t.Errorf("refused by no limit: %v", r.Refused)
	}
}

func TestRollupTellsWhatLimitsRefused(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	by := func(seconds int, code, by string, until int, shadows ...string) Event {
		return Event{Key: a, At: at(seconds), Details: denied(code), Refusal: &Refusal{By: by, Until: at(until), Shadows: shadows}}
	}
	tests := map[string]struct {
		events []Event
		want   map[Pair]Refused
	}{
		"one that refused": {
			[]Event{by(0, "RATE_LIMITED", "l", 60)},
			map[Pair]Refused{{"l", a}: {Denied: 1, At: at(0), Until: at(60), Code: "RATE_LIMITED"}},
		},
		"the newest refusal tells how it stands": {
			[]Event{by(1, "QUOTA_EXHAUSTED", "l", 900), by(0, "RATE_LIMITED", "l", 60)},
			map[Pair]Refused{{"l", a}: {Denied: 2, At: at(1), Until: at(900), Code: "QUOTA_EXHAUSTED"}},
		},
		"a newer one that ends sooner, too": {
			[]Event{by(0, "QUOTA_EXHAUSTED", "l", 900), by(1, "RATE_LIMITED", "l", 60)},
			map[Pair]Refused{{"l", a}: {Denied: 2, At: at(1), Until: at(60), Code: "RATE_LIMITED"}},
		},
		"of two at once the longer one": {
			[]Event{by(0, "QUOTA_EXHAUSTED", "l", 900), by(0, "RATE_LIMITED", "l", 60)},
			map[Pair]Refused{{"l", a}: {Denied: 2, At: at(0), Until: at(900), Code: "QUOTA_EXHAUSTED"}},
		},
		"limits in shadow that would have": {
			[]Event{by(0, "VALID", "", 0, "s", "t"), by(1, "VALID", "", 0, "t")},
			map[Pair]Refused{{"s", a}: {ShadowDenied: 1}, {"t", a}: {ShadowDenied: 2}},
		},
		"a limit of which two rules would have, once": {
			[]Event{by(0, "VALID", "", 0, "s", "t", "s")},
			map[Pair]Refused{{"s", a}: {ShadowDenied: 1}, {"t", a}: {ShadowDenied: 1}},
		},
		"one that refused before it was tried in shadow": {
			[]Event{by(0, "RATE_LIMITED", "l", 60), by(1, "VALID", "", 0, "l")},
			map[Pair]Refused{{"l", a}: {Denied: 1, ShadowDenied: 1, At: at(0), Until: at(60), Code: "RATE_LIMITED"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := NewRollup()
			for _, e := range test.events {
				r.Add(&e)
			}
			if !reflect.DeepEqual(r.Refused, test.want) {
				t.Errorf("got %+v, want %+v", r.Refused, test.want)
			}
		})
	}
}

func TestAnAllowedRequestIsNoted(t *testing.T) {
	r := NewRollup()
	for seconds, code := range []string{"RATE_LIMITED", "VALID", "RATE_LIMITED"} {
		r.Add(&Event{Key: a, At: start.Add(time.Duration(seconds) * time.Second), Details: denied(code)})
	}
	r.Add(&Event{Key: b, At: start, Details: denied("KEY_EXPIRED")})
	if last := r.Keys[a].Last; !last.PassedAt.Equal(start.Add(time.Second)) || !last.UsedAt.Equal(start.Add(2*time.Second)) {
		t.Errorf("a passed at %v and was used at %v", last.PassedAt, last.UsedAt)
	}
	if last := r.Keys[b].Last; !last.PassedAt.IsZero() {
		t.Errorf("b passed at %v", last.PassedAt)
	}
}

// However events are spread over roll-ups and in whatever order these are merged, the
// counts are the same: a failed flush may be merged into a later one.
func TestMergingInAnyOrderCountsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 100).Draw(t, "events")
		parts := []*Rollup{NewRollup(), NewRollup(), NewRollup()}
		whole := NewRollup()
		for _, e := range events {
			whole.Add(&e)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(&e)
		}
		before := counted(parts[0])
		defer func() {
			if !reflect.DeepEqual(counted(parts[0]), before) {
				t.Fatal("what was merged has changed")
			}
		}()
		merged, absorbed := NewRollup(), NewRollup()
		lines := 0
		for _, part := range rapid.Permutation(parts).Draw(t, "order") {
			if n := merged.Merge(part); n != merged.Lines()-lines {
				t.Fatalf("%d lines were added, and %d told", merged.Lines()-lines, n)
			}
			lines = merged.Lines()
			copied := NewRollup()
			copied.Merge(part)
			absorbed.Absorb(copied)
		}
		if !reflect.DeepEqual(counted(absorbed), counted(merged)) || absorbed.Lines() != lines {
			t.Fatalf("absorbed %v, merged %v", counted(absorbed), counted(merged))
		}
		if !reflect.DeepEqual(counted(merged), counted(whole)) || merged.Lines() != whole.Lines() {
			t.Fatalf("merged %v, whole %v", counted(merged), counted(whole))
		}
		if !reflect.DeepEqual(lasts(merged), lasts(whole)) {
			t.Fatalf("merged %v, whole %v", lasts(merged), lasts(whole))
		}
		if !reflect.DeepEqual(merged.Refused, whole.Refused) {
			t.Fatalf("merged %v, whole %v", merged.Refused, whole.Refused)
		}
		if whole.Empty() != (len(events) == 0) {
			t.Fatal("emptiness is wrong")
		}
	})
}

func drawLast(t *rapid.T) Last {
	r := NewRollup()
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 1, 5).Draw(t, "events") {
		e.Key = a
		r.Add(&e)
	}
	return r.Keys[a].Last
}

func TestAnEventIsNotedAsItIsMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noted := drawLast(t)
		merged := noted
		e := drawEvent(t)
		last := LastOf(&e)
		merged.Merge(&last)
		if noted.note(&e); noted != merged {
			t.Fatalf("noted %+v, merged %+v", noted, merged)
		}
	})
}

func TestMergingWhatIsKnownOfAKeyIsOrderlessAndHarmless(t *testing.T) {
	merge := func(one, other Last) Last {
		one.Merge(&other)
		return one
	}
	rapid.Check(t, func(t *rapid.T) {
		x, y, z := drawLast(t), drawLast(t), drawLast(t)
		if merge(x, x) != x {
			t.Errorf("merged with itself %+v is %+v", x, merge(x, x))
		}
		if merge(x, y) != merge(y, x) {
			t.Errorf("%+v and %+v make a difference in which is first", x, y)
		}
		if merge(merge(x, y), z) != merge(x, merge(y, z)) {
			t.Errorf("%+v, %+v and %+v make a difference in which are first", x, y, z)
		}
	})
}

func TestTheNewestTwoGenerationsAreKnownWithTheirLastUse(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	r := NewRollup()
	for _, used := range []Generation{{2, at(5)}, {1, at(1)}, {0, at(9)}, {3, at(2)}, {2, at(7)}, {2, at(6)}, {1, at(8)}} {
		r.Add(&Event{Key: a, Generation: used.Number, At: used.UsedAt})
	}
	if got, want := r.Keys[a].Last.Generations, (Generations{{3, at(2)}, {2, at(7)}}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func drawEvent(t *rapid.T) Event {
	drawTime := func(label string) time.Time {
		return start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, label)) * 30 * time.Minute)
	}
	e := Event{
		Key:             rapid.SampledFrom([]keyid.ID{a, b}).Draw(t, "key"),
		Generation:      rapid.Uint32Range(0, 4).Draw(t, "generation"),
		Attribution:     of(rapid.SampledFrom([]string{"v", "w"}).Draw(t, "workspace")),
		PeriodStart:     drawTime("period"),
		At:              drawTime("at"),
		Details:         denied(rapid.SampledFrom([]string{"VALID", "KEY_EXPIRED", "RATE_LIMITED", "QUOTA_EXHAUSTED"}).Draw(t, "code")),
		SpendMicrocents: rapid.Int64Range(0, 3).Draw(t, "spend"),
		Remaining:       rapid.Int64Range(-1, 1).Draw(t, "remaining"),
		ResetAt:         drawTime("reset"),
		BudgetRemaining: rapid.Int64Range(-1, 1).Draw(t, "budget remaining"),
		BudgetResetAt:   drawTime("budget reset"),
	}
	if rapid.Bool().Draw(t, "labelled") {
		e.Domain = strconv.Itoa(rapid.IntRange(0, 2*few).Draw(t, "domain"))
	}
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		e.Details = Details{Domain: e.Domain, Status: rapid.SampledFrom([]Status{Succeeded, Failed, Reported}).Draw(t, "outcome")}
		return e
	}
	if rapid.Bool().Draw(t, "refused") {
		limit := rapid.SampledFrom([]string{"", "l", "m"})
		e.Refusal = &Refusal{By: limit.Draw(t, "by"), Until: drawTime("until"), Shadows: rapid.SliceOfN(limit, 0, 3).Draw(t, "shadows")}
	}
	return e
}
