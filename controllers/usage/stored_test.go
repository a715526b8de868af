package usage

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/controllers/propagation"
	"github.com/claviger-dev/claviger/internal/applied"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// answers of some verifiers, each at an address that is its name.
func answers(reports ...applied.Report) propagation.Answers {
	a := propagation.Answers{Reports: map[string]applied.Report{}, At: map[string]string{}, Mute: map[string]bool{}}
	for _, report := range reports {
		a.Reports[report.Verifier], a.At[report.Verifier] = report, report.Verifier
	}
	return a
}

// silent adds one that does not answer, refused one at whose address nothing listens.
func silent(a propagation.Answers, name string) propagation.Answers {
	a.Mute[name], a.Silent = true, errors.New("no answer")
	return a
}

func refused(a propagation.Answers, name string) propagation.Answers {
	a.Mute[name], a.Refused = true, syscall.ECONNREFUSED
	return a
}

// tolds is a verifier that has stored what it counted until a moment.
func tolds(name string, until time.Time, continues ...string) applied.Report {
	return applied.Report{Verifier: name, CountedUntil: until, Continues: continues}
}

// prompt is a verifier that has always stored all there is.
func prompt() *verifiers {
	return long(func(context.Context) propagation.Answers { return answers(tolds("prompt", start.Add(10000*time.Hour))) })
}

// long are verifiers that this operator has asked for long.
func long(ask func(context.Context) propagation.Answers) *verifiers {
	v := newVerifiers(ask, time.Minute, logr.Discard())
	v.began = start.Add(-returnsWithin)
	return v
}

func at(d time.Duration) time.Time { return start.Add(d) }

func TestAllIsStoredAsFarAsTheLastVerifierSays(t *testing.T) {
	both := answers(tolds("a", at(0)), tolds("b", at(-time.Hour)))
	for name, test := range map[string]struct {
		answers propagation.Answers
		want    time.Time
	}{
		"one":                          {answers(tolds("a", at(0))), at(0)},
		"two":                          {both, at(-time.Hour)},
		"none":                         {answers(), time.Time{}},
		"one that does not tell":       {answers(tolds("a", at(0)), applied.Report{Verifier: "old"}), time.Time{}},
		"one that does not answer":     {silent(answers(tolds("a", at(0))), "b"), time.Time{}},
		"one that is not there":        {refused(answers(tolds("a", at(0))), "b"), time.Time{}},
		"one with what another left":   {answers(tolds("a", at(0)), tolds("b", time.Time{}, "c")), time.Time{}},
		"one that stored what is left": {answers(tolds("a", at(0)), tolds("b", at(-time.Second), "c")), at(-time.Second)},
	} {
		v := long(func(context.Context) propagation.Answers { return test.answers })
		if got := v.look(t.Context(), start); !got.live.Equal(test.want) || !got.all.Equal(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestAVerifierThatIsGoneHoldsBackWhatItHadNotStored(t *testing.T) {
	type look struct {
		after   time.Duration
		answers propagation.Answers
		want    time.Time // of all
	}
	a := func(after time.Duration) applied.Report { return tolds("a", at(after)) }
	const minute, week = time.Minute, lostFor
	for name, looks := range map[string][]look{
		"one that ended as it should": {
			{0, answers(a(0), tolds("b", at(-time.Second))), at(-time.Second)},
			{minute, refused(answers(a(minute)), "b"), time.Time{}}, // while the DNS still has it
			{2 * minute, answers(a(2 * minute)), at(-time.Second)},
			{17*minute - 1, answers(a(17 * minute)), at(-time.Second)}, // it may come back
			{17 * minute, answers(a(17 * minute)), at(17 * minute)},
		},
		"one that could not store": {
			{0, answers(a(0), tolds("b", at(-time.Hour))), at(-time.Hour)},
			{minute, answers(a(minute)), at(-time.Hour)},
			{week, answers(a(week)), at(-time.Hour)},
			{week + minute, answers(a(week)), at(week)},
		},
		"one that did not tell for long before": {
			{0, answers(a(0), tolds("b", at(-time.Second))), at(-time.Second)},
			{time.Hour, silent(answers(a(time.Hour)), "b"), time.Time{}},
			{2 * time.Hour, answers(a(2 * time.Hour)), at(-time.Second)},
			{24 * time.Hour, answers(a(24 * time.Hour)), at(-time.Second)},
		},
		"one that is back with its journal": {
			{0, answers(a(0), tolds("b", at(-time.Hour))), at(-time.Hour)},
			{minute, answers(a(minute)), at(-time.Hour)},
			{2 * minute, answers(a(2*minute), tolds("b2", time.Time{}, "b")), time.Time{}},
			{3 * minute, answers(a(3*minute), tolds("b2", at(3*minute), "b")), at(3 * minute)},
		},
		"one whose successor is killed, too, before it is done": {
			{0, answers(a(0), tolds("b", at(-time.Hour))), at(-time.Hour)},
			{minute, answers(a(minute), tolds("b2", time.Time{}, "b")), time.Time{}},
			{2 * minute, answers(a(2 * minute)), time.Time{}},
			{time.Hour, answers(a(time.Hour)), time.Time{}},
			{2 * time.Hour, answers(a(2*time.Hour), tolds("b3", time.Time{}, "b")), time.Time{}},
			{3 * time.Hour, answers(a(3*time.Hour), tolds("b3", at(3*time.Hour), "b")), at(3 * time.Hour)},
		},
		"one that was replaced by one with an empty journal": {
			{0, answers(a(0), tolds("b", at(-time.Hour))), at(-time.Hour)},
			{minute, answers(a(minute), tolds("c", at(minute))), at(-time.Hour)},
			{time.Hour, answers(a(time.Hour), tolds("c", at(time.Hour))), at(-time.Hour)},
		},
		"one of an older version": {
			{0, answers(a(0), applied.Report{Verifier: "b"}), time.Time{}},
			{minute, answers(a(minute)), at(minute)},
		},
		"one that is there again": {
			{0, answers(a(0), tolds("b", at(-time.Second))), at(-time.Second)},
			{minute, answers(a(minute)), at(-time.Second)},
			{2 * minute, answers(a(2*minute), tolds("b", at(2*minute))), at(2 * minute)},
			{time.Hour, answers(a(time.Hour), tolds("b", at(time.Hour))), at(time.Hour)},
		},
	} {
		var now look
		v := long(func(context.Context) propagation.Answers { return now.answers })
		for _, now = range looks {
			if got := v.look(t.Context(), at(now.after)); !got.all.Equal(now.want) {
				t.Errorf("%s: after %v until %v, want %v", name, now.after, got.all, now.want)
			}
		}
	}
}

func TestWhoeverComesToLeadDoesNotKnowAtFirstWhoIsGone(t *testing.T) {
	now := start
	v := newVerifiers(func(context.Context) propagation.Answers { return answers(tolds("a", now)) }, time.Minute, logr.Discard())
	for _, after := range []time.Duration{0, returnsWithin - 1, returnsWithin} {
		now = at(after)
		want := now
		if after < returnsWithin {
			want = time.Time{}
		}
		if got := v.look(t.Context(), now); !got.live.Equal(now) || !got.all.Equal(want) {
			t.Errorf("after %v until %v and with those that are gone until %v, want %v", after, got.live, got.all, want)
		}
	}
}

func TestThatUsageIsNotKnownIsToldOnceItLasts(t *testing.T) {
	log := &lines{}
	v := newVerifiers(nil, time.Minute, log.logger())
	look := func(after time.Duration, a propagation.Answers) int {
		v.ask = func(context.Context) propagation.Answers { return a }
		v.look(t.Context(), at(after))
		return len(log.all())
	}
	known := func(after time.Duration) propagation.Answers { return answers(tolds("a", at(after))) }
	unknown := refused(known(0), "b")
	for _, step := range []struct {
		after   time.Duration
		answers propagation.Answers
		want    int
	}{
		{0, known(0), 0}, {1, unknown, 0}, {2, known(2), 0}, {3, unknown, 0},
		{3 + toldAfter, unknown, 1}, {4 + toldAfter, unknown, 1}, {5 + toldAfter, known(5 + toldAfter), 2}, {6 + toldAfter, known(6), 2},
	} {
		if got := look(step.after, step.answers); got != step.want {
			t.Errorf("after %v there are %d lines, want %d: %q", step.after, got, step.want, log.all())
		}
	}
	if got := log.all(); len(got) != 2 || !strings.Contains(got[0], "refused") || !strings.Contains(got[1], "again") {
		t.Errorf("the log reads %q", got)
	}
}

// storing is a verifier that shares its store with others, over HTTPS.
type storing struct {
	mu    sync.Mutex
	name  string
	until time.Time
}

func (s *storing) set(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
}

func (s *storing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	switch r.URL.Path {
	case usagefeed.Path:
		answer = usagefeed.Page{Epoch: "e", Shared: true, CountedUntil: s.until}
	case applied.Path:
		answer = tolds(s.name, s.until)
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // a test
}

func TestWhileOneOfSeveralVerifiersCannotStoreNoUseIsKnownOfSince(t *testing.T) {
	first, second := &storing{name: "first", until: start}, &storing{name: "second", until: start}
	var urls []string
	var servers []*httptest.Server
	for _, s := range []*storing{first, second} {
		server := httptest.NewTLSServer(s)
		defer server.Close()
		urls, servers = append(urls, server.URL), append(servers, server)
	}
	ca, token := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "token")
	writeFile(t, ca, append(authority(servers[0]), authority(servers[1])...))
	writeFile(t, token, []byte("token"))
	feed, err := newFeed(urls, ca, token)
	if err != nil {
		t.Fatal(err)
	}
	everyone, err := propagation.NewEveryone(urls, ca, token, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	w := newReader(feed, &lines{}, testclock.NewFakeClock(start))
	w.verifiers = long(everyone.Ask)
	read := func(now time.Time, want time.Time) {
		t.Helper()
		if err := w.readKeys(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if got := w.KnownUntilOf("any", false); !got.Equal(want) {
			t.Errorf("at %v uses are known until %v, want %v", now, got, want)
		}
	}
	read(at(0), at(-seenWithin))
	for after := time.Minute; after <= 3*time.Hour; after += time.Minute {
		first.set(at(after)) // which is the one that is read, and stores
		read(at(after), at(min(0, after-seenWithin)))
	}
	second.set(at(3 * time.Hour))
	read(at(3*time.Hour), at(3*time.Hour-seenWithin))
	second.set(time.Time{}) // as one of an older version does
	read(at(3*time.Hour), time.Time{})
}
