package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/stats"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

func TestAdmissionsAreCountedBySpan(t *testing.T) {
	first := time.Date(2026, 3, 1, 13, 1, 0, 0, time.UTC)
	second := first.Add(time.Minute + 3*time.Millisecond)
	for name, test := range map[string]struct {
		resets []time.Time
		want   []int
	}{
		"none":                  {nil, nil},
		"one span":              {[]time.Time{first, first}, []int{2}},
		"told by several":       {[]time.Time{first.Add(7 * time.Millisecond), first, first.Add(-2 * time.Millisecond)}, []int{3}},
		"two, in any order":     {[]time.Time{second, first, second, second.Add(time.Millisecond)}, []int{1, 3}},
		"one that is left out":  {[]time.Time{first, second.Add(time.Minute)}, []int{1, 1}},
		"late in a long answer": {[]time.Time{first, first.Add(100 * time.Millisecond)}, []int{2}},
	} {
		if got := countSpans(test.resets, time.Minute); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestTheFullestSpanIsWhatCounts(t *testing.T) {
	for _, test := range []struct {
		counts []int
		want   float64
	}{{nil, 0}, {[]int{1000, 1000}, 0}, {[]int{1000, 1010}, 1}, {[]int{1001, 20}, 0.1}, {[]int{998}, 0}} {
		if got := beyond(test.counts, 1000); got != test.want {
			t.Errorf("%v are %v %% too many, want %v", test.counts, got, test.want)
		}
	}
}

func TestAnswersAreToldApart(t *testing.T) {
	const admitted = `{"valid":true,"code":"VALID","status":200,"requestId":"r","limits":[{"name":"l","unit":"requests","limit":9,"remaining":8,"resetAt":"2026-03-01T13:01:00Z"}]}`
	a := &admissions{span: time.Minute}
	for _, body := range []string{admitted, `{"valid":false,"code":"RATE_LIMITED","status":429}`, admitted} {
		if err := a.see([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if got := a.bySpan(); !slices.Equal(got, []int{2}) {
		t.Errorf("counted %v", got)
	}
	for _, body := range []string{``, `{"valid":false,"code":"LIMITS_UNAVAILABLE","status":503}`, `{"valid":true,"code":"VALID"}`, `{"valid":true,`} {
		if a.see([]byte(body)) == nil {
			t.Errorf("%q was taken for an answer about a limit", body)
		}
	}
}

func TestMetricsAreRead(t *testing.T) {
	m := parseMetrics([]byte("# HELP claviger_shared_limits_up Whether.\n# TYPE claviger_shared_limits_up gauge\nclaviger_shared_limits_up 1\n" +
		"claviger_shared_limits_verifiers 3\nclaviger_shared_limits_requests_total{result=\"answered\"} 1.5e+06\n" +
		"claviger_shared_limits_requests_total{result=\"failed\"} 2\nclaviger_shared_limits_requests_total{result=\"unasked\"} 3\n\nrubbish\n"))
	if m.answered() != 1.5e6 || m.unanswered() != 5 || !m.together(3) || m.together(2) || len(m) != 5 {
		t.Errorf("got %v", m)
	}
	if (metrics{}).together(0) {
		t.Error("nothing is said to be up")
	}
}

func TestCallersCallUntilTheSliceEnds(t *testing.T) {
	var called [3]atomic.Int64
	used := time.Duration(0)
	c := callers{count: 3, slice: 5 * time.Millisecond, used: func() (time.Duration, error) { used += time.Second; return used, nil }, call: func(caller int, _ *rand.Rand) error {
		called[caller].Add(1)
		return nil
	}}
	count, took, times, err := c.saturate(c.slice)
	if err != nil {
		t.Fatal(err)
	}
	sum, timed := int64(0), 0
	for i := range called {
		n := called[i].Load()
		sum, timed = sum+n, timed+int(n)/timedOf
	}
	if count != sum || count == 0 || len(times) != timed || took < c.slice {
		t.Errorf("%d calls of %d, %d timed of %d, in %s", count, sum, len(times), timed, took)
	}
	if figures, err := c.measure(); err != nil || len(figures) != serverTime+1 || figures[medianTime] > figures[p99Time] || figures[serverTime] <= 0 {
		t.Errorf("figures %v, %v", figures, err)
	}
	broken := errors.New("broken")
	c.slice, c.call = time.Hour, func(caller int, _ *rand.Rand) error {
		if caller == 1 {
			return broken
		}
		return nil
	}
	if _, err := c.measure(); !errors.Is(err, broken) {
		t.Errorf("a call that fails ends with %v", err)
	}
}

func TestEachTenantGetsItsLimit(t *testing.T) {
	people, err := population.New(4)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	err = feed(people, limited(func(o client.Object) error {
		if l, ok := o.(*v1alpha1.KeyLimit); ok {
			got = append(got, l.Spec.Rates[0].Requests)
		}
		return nil
	}, func(tenant int) v1alpha1.KeyLimitSpec {
		return rate(int64(tenant+1), time.Minute, v1alpha1.ConsistencyStrict)
	}))
	if err != nil || !slices.Equal(got, []int64{1, 2, 3, 4}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHalfOfTheRecords(t *testing.T) {
	all := load.Records{Data: []byte("aabbccdd"), Length: 2}
	for from, want := range map[int]string{0: "aacc", 1: "bbdd"} {
		if got := everyOther(all, from); string(got.Data) != want || got.Length != 2 {
			t.Errorf("from %d: %s", from, got.Data)
		}
	}
}

func TestTheQuickerIsCompared(t *testing.T) {
	slow, fast := []stats.Sample{{1, 2, 3}}, []stats.Sample{{3, 4, 5}}
	for _, pair := range [][2][]stats.Sample{{slow, fast}, {fast, slow}} {
		if got := quicker(pair[0], pair[1]); got[perSecond].Median() != 4 {
			t.Errorf("got %v", got)
		}
	}
}

func TestTheBareScriptKeepsALimit(t *testing.T) {
	server := valkeyserver.Start(t)
	redis := &redisServer{address: server.Addr()}
	const most = 5
	bare, err := redis.connectBare(2, 2, most)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.close()
	for key := range 2 {
		for i := range most + 1 {
			allowed, err := bare.ask(i, key)
			if err != nil || allowed != (i < most) {
				t.Fatalf("request %d of %d: %t, %v", i+1, most, allowed, err)
			}
		}
	}
	if n, err := redis.counters(t.Context()); err != nil || n != 2 {
		t.Errorf("there are %d counters, %v", n, err)
	}
	if err := bare.call(0, rand.New(rand.NewPCG(1, 2))); !errors.Is(err, errRefused) {
		t.Errorf("a call that is refused ends with %v", err)
	}
}

func TestTheSpanIsInWholeSeconds(t *testing.T) {
	for span, want := range map[time.Duration]bool{0: true, 3 * time.Second: true, time.Minute: true, intoTheNext: false, 3500 * time.Millisecond: false, -time.Minute: false} {
		o := options{binary: "limits_test.go", span: span}
		if err := o.check(); (err == nil) != want {
			t.Errorf("%s: %v", span, err)
		}
	}
	if got := fmt.Sprint(spelled([]int{1000, 7})); got != "1,000; 7" {
		t.Errorf("spelled %s", got)
	}
}
