package durability

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/postgresserver"
)

// onEachStore runs a test with usage in SQLite, and in PostgreSQL.
func onEachStore(t *testing.T, test func(t *testing.T, v *verifier)) {
	t.Run("SQLite", func(t *testing.T) { test(t, start(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, start(t, "--usage-url="+postgresserver.Start(t).Database())) })
}

// A verifier that is killed has every report that it acknowledged, and each once, whatever its store had of it. Of
// decisions it may have lost those of the last second.
func TestAKilledVerifierHasEveryReportThatItAcknowledged(t *testing.T) {
	onEachStore(t, func(t *testing.T, v *verifier) {
		var acknowledged, reported, sent, early int64
		for _, life := range []string{"first", "second", "third"} {
			l := v.load(life)
			time.Sleep(2500 * time.Millisecond)
			early += l.allowed.Load()
			time.Sleep(time.Second)
			v.Kill() //nolint:errcheck // it is what it is for
			l.end()
			acknowledged, reported, sent = acknowledged+l.acknowledged.Load(), reported+l.reported.Load(), sent+l.sent.Load()
			v.restart(t)
		}
		got := v.settled(t, func(s stored) bool { return s.Succeeded >= acknowledged && len(v.pending(t)) == 0 })
		if got.Succeeded > reported || got.SpendMicrocents != spend*got.Succeeded {
			t.Errorf("%d reports were sent and %d acknowledged; stored are %d, which spent %d", reported, acknowledged, got.Succeeded, got.SpendMicrocents)
		}
		if got.Requests < early || got.Requests > sent {
			t.Errorf("%d requests were sent, %d of them more than a second before a kill; stored are %d", sent, early, got.Requests)
		}
		if lines := v.lines(t, "success"); lines != got.Succeeded {
			t.Errorf("the log has %d outcomes, and counted are %d", lines, got.Succeeded)
		}
		if lines := v.lines(t, "allowed"); lines != got.Requests {
			t.Errorf("the log has %d decisions, and counted are %d", lines, got.Requests)
		}
		t.Logf("acknowledged %d of %d reports, stored %d; sent %d requests, stored %d", acknowledged, reported, got.Succeeded, sent, got.Requests)
	})
}

func TestAVerifierThatIsToldToEndLosesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, v *verifier) {
		l := v.load("life")
		time.Sleep(2 * time.Second)
		if err := syscall.Kill(v.PID(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-v.Done():
		case <-time.After(patience):
			t.Fatal("it does not end")
		}
		l.end()
		if files := v.pending(t); len(files) > 0 {
			t.Errorf("the journal still has %v", files)
		}
		v.restart(t)
		allowed, acknowledged := l.allowed.Load(), l.acknowledged.Load()
		got := v.settled(t, func(s stored) bool { return s.Requests >= allowed })
		if got != (stored{allowed, acknowledged, spend * acknowledged}) {
			t.Errorf("answered were %d requests and %d reports; stored is %+v", allowed, acknowledged, got)
		}
	})
}

// outage is how long PostgreSQL is away: CLAVIGER_OUTAGE, a duration, or 15 seconds.
func outage(t *testing.T) time.Duration {
	text := os.Getenv("CLAVIGER_OUTAGE")
	if text == "" {
		return 15 * time.Second
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return length
}

// PostgreSQL goes away under load, by stopping and by falling silent, and nothing is lost, and no request is held up.
func TestAnOutageOfPostgreSQLLosesNothing(t *testing.T) {
	server := postgresserver.Start(t)
	v := start(t, "--usage-url="+server.Database())
	l := v.load("life")
	time.Sleep(2 * time.Second)
	server.Kill()
	before := l.allowed.Load()
	time.Sleep(outage(t))
	if meanwhile := l.allowed.Load() - before; meanwhile < before {
		t.Errorf("%d requests were answered in two seconds, and %d while the store was away", before, meanwhile)
	}
	if len(v.pending(t)) == 0 {
		t.Error("nothing is in the journal while the store is away")
	}
	server.Restart()
	time.Sleep(2 * time.Second)
	l.end()
	allowed, acknowledged := l.allowed.Load(), l.acknowledged.Load()
	if sent := l.sent.Load(); sent != allowed || acknowledged != allowed {
		t.Errorf("of %d requests %d were answered, and %d reported", sent, allowed, acknowledged)
	}
	got := v.settled(t, func(s stored) bool { return s.Requests >= allowed && s.Succeeded >= acknowledged })
	if got != (stored{allowed, acknowledged, spend * acknowledged}) {
		t.Errorf("answered were %d requests and %d reports; stored is %+v", allowed, acknowledged, got)
	}
	t.Logf("stored %d requests and %d reports, over an outage of %v", got.Requests, got.Succeeded, outage(t))
}

// Nobody has to be there for a verifier to start, and to end.
func TestAVerifierStartsAndEndsWhilePostgreSQLIsAway(t *testing.T) {
	server := postgresserver.Start(t)
	url := server.Database()
	server.Kill()
	v := start(t, "--usage-url="+url)
	l := v.load("life")
	time.Sleep(time.Second)
	l.end()
	if err := syscall.Kill(v.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-v.Done():
	case <-ctx.Done():
		t.Fatal("it does not end while its store is away")
	}
	server.Restart()
	v.restart(t)
	allowed, acknowledged := l.allowed.Load(), l.acknowledged.Load()
	if got := v.settled(t, func(s stored) bool { return s.Requests >= allowed }); got != (stored{allowed, acknowledged, spend * acknowledged}) || allowed == 0 {
		t.Errorf("answered were %d requests and %d reports; stored is %+v", allowed, acknowledged, got)
	}
}
