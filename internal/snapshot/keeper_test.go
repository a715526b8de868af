package snapshot

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	clocktesting "k8s.io/utils/clock/testing"
)

// subject is what a snapshot is made of, and takes its time to be written.
type subject struct {
	changes uint64
	content string
	takes   time.Duration
	fails   error
	clock   *clocktesting.FakeClock
	written int
}

func (s *subject) Changes() uint64 { return s.changes }

func (s *subject) Encode(w io.Writer) error {
	s.clock.Step(s.takes)
	s.written++
	_, err := io.WriteString(w, s.content)
	return errors.Join(err, s.fails)
}

func (s *subject) change(content string) { s.content = content; s.changes++ }

type kept struct {
	*Keeper
	subject *subject
	clock   *clocktesting.FakeClock
	whole   bool
	contact time.Time
	logged  []string
}

func newKept(t *testing.T) *kept {
	t.Helper()
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	k := &kept{clock: clock, subject: &subject{clock: clock}, whole: true, contact: clock.Now()}
	metrics, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Keeper = &Keeper{
		Dir: open(t, t.TempDir()), Subject: k.subject, Clock: clock, Metrics: metrics,
		Contact: func() (time.Time, bool) { return k.contact, k.whole },
		Log:     funcr.New(func(_, args string) { k.logged = append(k.logged, args) }, funcr.Options{}),
	}
	return k
}

// seconds lets time pass, and the keeper look as often as it does.
func (k *kept) seconds(n int) {
	for range n {
		k.clock.Step(interval)
		k.look(false)
	}
}

func (k *kept) wantWritten(t *testing.T, want int) {
	t.Helper()
	if k.subject.written != want {
		t.Errorf("it was written %d times, want %d", k.subject.written, want)
	}
}

func TestItIsWrittenAfterChangesOnly(t *testing.T) {
	k := newKept(t)
	k.whole = false
	k.seconds(5)
	k.wantWritten(t, 0)
	k.whole = true
	k.seconds(1)
	k.wantWritten(t, 1)
	k.seconds(100)
	k.wantWritten(t, 1)
	k.subject.change("new")
	k.seconds(1)
	k.wantWritten(t, 2)
	wantLoaded(t, reopen(t, k.Dir), "new")
}

func TestWhileNothingChangesOnlyTheContactIsWritten(t *testing.T) {
	k := newKept(t)
	k.seconds(1)
	k.contact = k.clock.Now().Add(9 * time.Second)
	k.seconds(10)
	k.wantWritten(t, 1)
	if _, contact, err := load(reopen(t, k.Dir)); !contact.Equal(k.contact) || err != nil {
		t.Errorf("got %s, %v; want %s", contact, err, k.contact)
	}
}

func TestAContactIsNotForWhatIsNotWritten(t *testing.T) {
	k := newKept(t)
	k.seconds(1)
	before := k.contact
	k.subject.fails = errors.New("no space left on device")
	k.subject.change("lost")
	k.contact = k.clock.Now().Add(time.Hour)
	k.seconds(100)
	k.subject.fails = nil
	if content, contact, err := load(reopen(t, k.Dir)); content != "" || !contact.Equal(before) || err != nil {
		t.Errorf("got %q of %s, %v; want the one of %s", content, contact, err, before)
	}
}

func TestWritingTakesATenthOfTheTimeAndAMinuteAtMost(t *testing.T) {
	tests := map[string]struct {
		takes, rest time.Duration
	}{
		"quick":      {0, time.Second},
		"slow":       {2 * time.Second, 20 * time.Second},
		"very slow":  {time.Minute, time.Minute},
		"the slower": {time.Hour, time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			k.subject.takes = test.takes
			k.seconds(1)
			for range int(test.rest/time.Second) - 1 {
				k.subject.change("more")
				k.seconds(1)
			}
			k.wantWritten(t, 1)
			k.subject.change("more")
			k.seconds(1)
			k.wantWritten(t, 2)
		})
	}
}

func TestAClockThatIsSetBackStopsNothing(t *testing.T) {
	k := newKept(t)
	k.subject.takes = time.Second
	k.seconds(1)
	k.clock.SetTime(k.clock.Now().Add(-24 * time.Hour))
	k.subject.change("new")
	k.seconds(1)
	k.wantWritten(t, 2)
}

func TestAFailureIsToldOnceAndTriedAgain(t *testing.T) {
	k := newKept(t)
	// What no write gets past, whoever the user is.
	blocked := k.Dir.file(snapshotName + newSuffix)
	if err := os.MkdirAll(blocked+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	k.seconds(100)
	if len(k.logged) != 1 {
		t.Errorf("it was told %d times: %q", len(k.logged), k.logged)
	}
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	k.subject.change("at last")
	k.seconds(int(retryAfter / interval))
	if len(k.logged) != 2 {
		t.Errorf("it was told %q", k.logged)
	}
	wantLoaded(t, reopen(t, k.Dir), "at last")
}

func TestTheLastChangeIsWrittenAtTheEnd(t *testing.T) {
	k := newKept(t)
	k.subject.takes = 5 * time.Second
	k.seconds(1)
	k.subject.change("last")
	ctx, end := context.WithCancel(t.Context())
	end()
	k.Run(ctx)
	wantLoaded(t, reopen(t, k.Dir), "last")
}
