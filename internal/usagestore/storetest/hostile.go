package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Whoever reports what cannot be is counted up to where sums stop, in every one of them, and goes on being counted.
func testLargestSums(t *testing.T, f *fixture) {
	huge := func(e *usage.Event) {
		e.SpendMicrocents, e.Bytes, e.Latency = math.MaxInt64, math.MaxInt64, math.MaxInt64
		e.ServiceAccount = "robot"
	}
	const times = 3
	for i := range times {
		at := november.Add(time.Duration(i) * time.Second)
		f.add(t, ended("a", at, usage.Succeeded, at.String(), huge), ended("b", at, usage.Succeeded, at.String(), huge))
	}
	want := usage.Totals{Succeeded: times, SpendMicrocents: usage.MaxSum, LatencyMicros: usage.MaxSum, Timed: times, Bytes: usage.MaxSum}
	a := equal(usagestore.ByKey, keyid.Derive("a").String())
	day := november.Truncate(24 * time.Hour)
	for name, from := range map[string]time.Time{"hour": november.Truncate(time.Hour), "day": day} {
		to := from.Add(time.Hour)
		if name == "day" {
			to = day.AddDate(0, 0, 1)
		}
		if got := f.sum(t, from, to, a); got != want {
			t.Errorf("the %s has %+v, want %+v", name, got, want)
		}
	}
	for name, key := range f.keys(t, november, months(november), "a", "b") {
		if key.Total.SpendMicrocents != usage.MaxSum || key.Period.Counts != key.Total || key.Total.Succeeded != times {
			t.Errorf("of %s is told %+v, of the period %+v", name, key.Total, key.Period)
		}
	}
	groups := f.groups(t, november, months(november))
	if len(groups) != 2 {
		t.Errorf("there are the groups %v", groups)
	}
	for name, group := range groups {
		if group.Total.SpendMicrocents != usage.MaxSum || group.Period.Counts != group.Total || group.Total.Succeeded != 2*times {
			t.Errorf("of %s is told %+v, of the period %+v", name, group.Total, group.Period)
		}
	}
}
