package usage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/controllers/propagation"
	"github.com/claviger-dev/claviger/internal/applied"
)

const (
	// promptWithin is how far behind a verifier is at most whose store takes in what it counts: it lets batches come
	// together for up to twenty seconds.
	promptWithin = time.Minute
	// endsWithin is how long a verifier that ends as it should may be listed without telling anything, besides
	// the time between two questions: some 45 seconds to end, and half a minute in the caches of the DNS.
	endsWithin = 2 * time.Minute
	// returnsWithin is how long it may take until a verifier that was killed is back with its journal: a volume is taken
	// off a node that is away after some ten minutes.
	returnsWithin = 15 * time.Minute
	// lostFor is how long what a verifier took away with it counts as not known. By then a use in there is
	// so long ago that it matters to hardly any key.
	lostFor = 7 * 24 * time.Hour
	// toldAfter is how long something may be unknown without a word about it: verifiers come and go.
	toldAfter = time.Minute
)

// stored is up to when verifiers have stored what they counted; zero: that is not known.
type stored struct {
	// live is that of those which are there, and all also that of those which are gone and may come back with a journal
	// that has more.
	live, all time.Time
}

// verifiers knows up to when all of them have stored what they counted. It is not safe for concurrent use.
type verifiers struct {
	ask func(ctx context.Context) propagation.Answers
	log logr.Logger
	// pause is how long it may be from one look to the next.
	pause time.Duration
	// began is when the first look was. Whoever was gone before is not known.
	began time.Time
	seen  map[string]*seen
	// unknown is since when live is, and told says that it was said.
	unknown time.Time
	told    bool
}

// seen is what a verifier was like when it told last.
type seen struct {
	// names are its own and those of the processes whose journal it goes on with.
	names   []string
	counted time.Time
	at      time.Time
	address string
	// gone is since when nothing is at its address that does not tell; zero: it is there, or it may be.
	gone time.Time
}

func newVerifiers(ask func(context.Context) propagation.Answers, pause time.Duration, log logr.Logger) *verifiers {
	return &verifiers{ask: ask, log: log, pause: pause, seen: map[string]*seen{}}
}

// look asks every verifier. It must come before the feed is read, which then has all that they say is stored.
func (v *verifiers) look(ctx context.Context, now time.Time) stored {
	if v.began.IsZero() {
		v.began = now
	}
	answers := v.ask(ctx)
	if ctx.Err() != nil {
		return stored{}
	}
	live, err := untilOfAll(&answers)
	v.tell(now, err)
	for name, report := range answers.Reports {
		v.remember(name, report, &seen{at: now, address: answers.At[name]})
	}
	return stored{live: live, all: v.withGone(&answers, live, now)}
}

// untilOfAll is up to when all verifiers that are there have stored what they counted. The error says why that is
// not known.
func untilOfAll(answers *propagation.Answers) (until time.Time, err error) {
	err = errors.Join(answers.Silent, answers.Refused)
	for name, report := range answers.Reports {
		switch {
		case report.CountedUntil.IsZero():
			err = errors.Join(err, fmt.Errorf("%s: it does not tell until when it has stored usage: it is of an older version, or has not stored yet what was left in its journal", answers.At[name]))
		case until.IsZero() || report.CountedUntil.Before(until):
			until = report.CountedUntil
		}
	}
	if err != nil {
		return time.Time{}, err
	}
	if until.IsZero() {
		err = errors.New("there is no verifier")
	}
	return until, err
}

// remember notes what a verifier told. It answers also for those whose journal it has; one of an older version
// tells nothing that could be remembered.
func (v *verifiers) remember(name string, report applied.Report, s *seen) {
	s.counted, s.names = report.CountedUntil, append([]string{name}, report.Continues...)
	for other, earlier := range v.seen {
		if slices.ContainsFunc(earlier.names, func(n string) bool { return slices.Contains(s.names, n) }) {
			delete(v.seen, other)
		}
	}
	if !s.counted.IsZero() || len(report.Continues) > 0 {
		v.seen[name] = s
	}
}

// withGone is the earlier of a moment and of those up to which verifiers that are gone had stored what they counted.
// The first while after this operator came to lead it is not known who is gone.
func (v *verifiers) withGone(answers *propagation.Answers, until, now time.Time) time.Time {
	for name, s := range v.seen {
		if _, there := answers.Reports[name]; there || answers.Mute[s.address] {
			s.gone = time.Time{}
			continue
		}
		if s.gone.IsZero() {
			s.gone = now
			v.tellGone(name, s)
		}
		switch {
		case now.Sub(s.gone) >= v.matters(s):
			delete(v.seen, name)
		case s.counted.Before(until):
			until = s.counted
		}
	}
	if now.Before(v.began.Add(returnsWithin)) {
		return time.Time{}
	}
	return until
}

// matters is for how long it matters what a verifier that is gone had not stored. One that was prompt until it ended
// has most likely stored all of it then; if it was killed it may come back with its journal.
func (v *verifiers) matters(s *seen) time.Duration {
	if s.at.Sub(s.counted) <= promptWithin && s.gone.Sub(s.at) <= v.pause+endsWithin {
		return returnsWithin
	}
	return lostFor
}

func (v *verifiers) tellGone(name string, s *seen) {
	if v.matters(s) == lostFor {
		v.log.Info("A verifier is gone which may not have stored all usage: unless one goes on with its journal, for a week no overlap ends early and no key is told to be unused for what it may have counted",
			"verifier", name, "address", s.address, "storedUntil", s.counted)
	}
}

// tell logs that something is not known once that has lasted for a while, and when it is known again.
func (v *verifiers) tell(now time.Time, err error) {
	switch {
	case err == nil && v.told:
		v.log.Info("Every verifier tells again until when it has stored usage")
		fallthrough
	case err == nil:
		v.unknown, v.told = time.Time{}, false
	case v.unknown.IsZero():
		v.unknown = now
	case !v.told && now.Sub(v.unknown) >= toldAfter:
		v.told = true
		v.log.Info("Not every verifier tells until when it has stored usage: until they do, no overlap ends early and no key is told to be unused", "reason", err.Error())
	}
}
