package throttle

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tick is what the time is rounded to.
const tick = time.Duration(1 << tickShift)

func TestWhoIsOneSource(t *testing.T) {
	tests := map[string]struct {
		first, second string
		same          bool
	}{
		"an address":                        {"192.0.2.1", "192.0.2.1", true},
		"neighbours":                        {"192.0.2.1", "192.0.2.2", false},
		"an IPv4 address written as IPv6":   {"192.0.2.1", "::ffff:192.0.2.1", true},
		"addresses of one /64":              {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		"a zone":                            {"fe80::1", "fe80::1%eth0", true},
		"neighbouring /64s":                 {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		"an IPv6 prefix that looks like v4": {"192.0.2.1", "c000:201::", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			table := New(Options{PerMinute: 1, Burst: 1, Size: 1024})
			table.Failed(netip.MustParseAddr(test.first), start)
			if _, throttled := table.Failed(netip.MustParseAddr(test.second), start); throttled != test.same {
				t.Errorf("throttled together: %v, want %v", throttled, test.same)
			}
		})
	}
}

func TestNobodyIsThrottled(t *testing.T) {
	source := netip.MustParseAddr("192.0.2.1")
	tests := map[string]struct {
		options Options
		source  netip.Addr
	}{
		"where the address is not known": {Options{PerMinute: 1, Burst: 1, Size: 8}, netip.Addr{}},
		"where it is switched off":       {Options{Burst: 1, Size: 8}, source},
		"by a negative rate":             {Options{PerMinute: -1, Burst: 1, Size: 8}, source},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			table := New(test.options)
			for range 100 {
				if wait, throttled := table.Failed(test.source, start); throttled || wait != 0 {
					t.Fatalf("throttled for %v", wait)
				}
			}
		})
	}
}

func TestOptionsOfAnySizeWork(t *testing.T) {
	source := netip.MustParseAddr("192.0.2.1")
	for _, o := range []Options{
		{PerMinute: 1}, {PerMinute: 1, Burst: -1, Size: -1}, {PerMinute: math.MaxInt, Burst: math.MaxInt, Size: 1},
		{PerMinute: 1, Burst: math.MaxInt, Size: Ways + 1}, {PerMinute: math.MaxInt, Burst: 1, Size: 1000},
	} {
		table := New(o)
		if _, throttled := table.Failed(source, start); throttled {
			t.Errorf("%+v: the first invalid key was throttled", o)
		}
		if n := len(table.sets) * Ways; n < o.Size || n&(n-1) != 0 {
			t.Errorf("%+v: there is room for %d", o, n)
		}
	}
}

func drawOptions(t *rapid.T) Options {
	return Options{
		PerMinute: rapid.IntRange(1, 2000).Draw(t, "per minute"),
		Burst:     rapid.IntRange(1, 50).Draw(t, "burst"),
		Size:      rapid.IntRange(1, 4*Ways).Draw(t, "size"),
	}
}

func TestASourceGetsItsBurstAndItsRateAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		table := New(o)
		source := netip.MustParseAddr("192.0.2.1")
		interval := time.Duration(table.interval) * tick
		borne, elapsed := 0, time.Duration(0)
		for range 200 {
			elapsed += time.Duration(rapid.Int64Range(0, int64(2*interval)).Draw(t, "pause"))
			if _, throttled := table.Failed(source, start.Add(elapsed)); !throttled {
				borne++
			}
			if bound := o.Burst + int((elapsed+tick)/interval) + 1; borne > bound {
				t.Fatalf("%d were borne within %v, more than %d", borne, elapsed, bound)
			}
		}
	})
}

func TestTheBurstIsBorneAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		table := New(o)
		source := netip.MustParseAddr("2001:db8::1")
		for i := range o.Burst {
			if wait, throttled := table.Failed(source, start); throttled {
				t.Fatalf("number %d of a burst of %d was throttled for %v", i+1, o.Burst, wait)
			}
		}
		if _, throttled := table.Failed(source, start); !throttled {
			t.Fatalf("more than a burst of %d was borne", o.Burst)
		}
	})
}

func TestRetryAfterComesTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(drawOptions(t))
		source := netip.MustParseAddr("192.0.2.1")
		now := start
		for range 100 {
			wait, throttled := table.Failed(source, now)
			if throttled {
				if wait <= 0 || wait > time.Duration(table.interval)*tick {
					t.Fatalf("throttled for %v", wait)
				}
				if _, again := table.Failed(source, now.Add(wait-tick)); !again {
					t.Fatalf("a tick less than %v would have done", wait)
				}
				now = now.Add(wait)
				if _, again := table.Failed(source, now); again {
					t.Fatalf("throttled again after %v", wait)
				}
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")))
		}
	})
}

// A table without bounds and without collisions is the judge: the real one may let through
// whom it forgot, but throttles nobody else, however full it is.
func TestNobodyIsThrottledForWhatOthersDid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(drawOptions(t))
		exact := map[netip.Addr]uint64{}
		now := start
		for range 500 {
			source := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 100).Draw(t, "source"))})
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(100*time.Millisecond)).Draw(t, "pause")))
			ticks := uint64(now.UnixNano()) >> tickShift
			empty := max(exact[source], ticks)
			wait, throttled := table.Failed(source, now)
			deserved := empty+table.interval-ticks > table.capacity
			if throttled && !deserved {
				t.Fatalf("%v was throttled for %v", source, wait)
			}
			if !throttled {
				exact[source] = max(ticks, min(empty+table.interval, ticks+table.capacity))
			}
		}
	})
}

func TestOffendersAreRememberedWhileNewOnesCome(t *testing.T) {
	table := New(Options{PerMinute: 6, Burst: 20, Size: Ways})
	offender := netip.MustParseAddr("192.0.2.1")
	for {
		if _, throttled := table.Failed(offender, start); throttled {
			break
		}
	}
	for i := range 1000 {
		table.Failed(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), start)
	}
	if _, throttled := table.Failed(offender, start); !throttled {
		t.Error("sources that did little made the table forget one that did much")
	}
}

func TestAClockThatIsSetBackFreezesNobody(t *testing.T) {
	table := New(Options{PerMinute: 60, Burst: 10, Size: Ways})
	source := netip.MustParseAddr("192.0.2.1")
	for range 20 {
		table.Failed(source, start)
	}
	for _, back := range []time.Duration{time.Minute, time.Hour, 24 * 365 * time.Hour} {
		if wait, throttled := table.Failed(source, start.Add(-back)); throttled {
			t.Errorf("set back by %v it throttles for %v", back, wait)
		}
	}
}

// The address may be anybody's, and the clock anywhere.
func FuzzFailed(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, int64(0), int64(1))
	f.Add(netip.MustParseAddr("2001:db8::1").AsSlice(), int64(math.MaxInt64), int64(math.MinInt64))
	table := New(Options{PerMinute: 1, Burst: 3, Size: 4 * Ways})
	f.Fuzz(func(t *testing.T, address []byte, first, second int64) {
		source, _ := netip.AddrFromSlice(address)
		for _, at := range []int64{first, second, second} {
			wait, throttled := table.Failed(source, time.Unix(0, at))
			if throttled != (wait > 0) || wait > time.Minute+tick {
				t.Errorf("throttled: %v, for %v", throttled, wait)
			}
		}
	})
}

// However many at once, no two of them are borne for the price of one.
func TestManyAtOnce(t *testing.T) {
	const burst, goroutines, each = 1000, 8, 500
	table := New(Options{PerMinute: 1, Burst: burst, Size: Ways})
	source := netip.MustParseAddr("192.0.2.1")
	var borne atomic.Int64
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				if _, throttled := table.Failed(source, start); !throttled {
					borne.Add(1)
				}
				// Others come and go beside it, and never push it out once it did more than they.
				if i > 2*Ways {
					table.Failed(netip.AddrFrom4([4]byte{198, 51, byte(g), byte(i)}), start)
				}
			}
		})
	}
	all.Wait()
	if n := borne.Load(); n != burst {
		t.Errorf("%d were borne, want %d", n, burst)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	table := New(Options{PerMinute: 60, Burst: 10, Size: 1024})
	for _, source := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		if n := testing.AllocsPerRun(100, func() { table.Failed(source, start) }); n != 0 {
			t.Errorf("%v: %v allocations", source, n)
		}
	}
}

func BenchmarkFailed(b *testing.B) {
	options := Options{PerMinute: 60, Burst: 100, Size: 1 << 16}
	b.Run("one source, throttled", func(b *testing.B) {
		table := New(options)
		source := netip.MustParseAddr("192.0.2.1")
		for b.Loop() {
			table.Failed(source, start)
		}
	})
	b.Run("a million sources", func(b *testing.B) {
		table := New(options)
		for i := 0; b.Loop(); i++ {
			table.Failed(million(uint32(i)), start)
		}
	})
	b.Run("a million sources, all cores", func(b *testing.B) {
		table := New(options)
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.Uint32(); pb.Next(); i++ {
				table.Failed(million(i), start)
			}
		})
	})
}

func million(i uint32) netip.Addr {
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], i*2654435761%1_000_000)
	return netip.AddrFrom4(address)
}
