package feed

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
)

// process is a feed that can be ended before the test does.
type process struct {
	*Feed
	index    *keyindex.Index
	registry *prometheus.Registry
	end      func()
}

func (n *tenant) start(config *rest.Config, o Options) *process {
	n.Helper()
	p := &process{index: keyindex.New(), registry: prometheus.NewRegistry()}
	o.Config, o.Namespace, o.Index, o.Registerer, o.Log = config, n.operator, p.index, p.registry, testr.New(n.T)
	var err error
	if p.Feed, err = New(o); err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	over := false
	p.end = func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			n.Error(err)
		}
	}
	n.Cleanup(p.end)
	return p
}

// away takes the API server away, for the tests in this process.
func away(t *testing.T) (back func()) {
	t.Helper()
	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	returned := false
	back = func() {
		if returned {
			return
		}
		returned = true
		if err := plane.StartAPIServer(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(back)
	return back
}

func TestItStartsFromItsSnapshotAndThenCatchesUp(t *testing.T) {
	n := newTenant(t)
	options := Options{SnapshotDir: t.TempDir()}
	first := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return first.Ready() == nil })
	first.end()
	// What happens while nobody looks is only in the cluster.
	revoked, deleted, created := n.key, n.another("deleted"), n.another("created")
	second := n.start(plane.Config, options)
	eventually(t, "the others work", func() bool {
		return deleted.is(second.index, policy.CodeValid)() && created.is(second.index, policy.CodeValid)()
	})
	created.delete(created.secret)
	eventually(t, "one has no hash", created.is(second.index, policy.CodeKeyInvalid))
	second.end()
	created.secret.ResourceVersion = ""
	created.create(created.secret)
	n.update(revoked, func() { revoked.Spec.State = v1alpha1.KeyRevoked })
	deleted.delete(deleted.key)

	back := away(t)
	third := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return third.Ready() == nil })
	if note := third.Note(); !strings.HasPrefix(note, "serving from a snapshot of 20") {
		t.Errorf("the note is %q", note)
	}
	if metrics := gather(t, third.registry); metrics["claviger_feed_source snapshot"] != 1 || metrics["claviger_feed_source api"] != 0 || metrics["claviger_feed_synced"] != 0 {
		t.Errorf("the metrics are %v", metrics)
	}
	if !n.is(third.index, policy.CodeValid)() || !deleted.is(third.index, policy.CodeValid)() || !created.is(third.index, policy.CodeKeyInvalid)() {
		t.Error("the index is not as it was when the second ended")
	}
	back()
	eventually(t, "the revocation takes hold", n.is(third.index, policy.CodeKeyRevoked))
	eventually(t, "the deletion takes hold", deleted.is(third.index, policy.CodeKeyInvalid))
	eventually(t, "the new one works", created.is(third.index, policy.CodeValid))
	eventually(t, "it serves from the API server", func() bool { return gather(t, third.registry)["claviger_feed_source api"] == 1 })
	if note := third.Note(); note != "" {
		t.Errorf("the note is %q", note)
	}
	third.end()

	// And the older state is gone for good.
	away(t)
	fourth := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return fourth.Ready() == nil })
	if !n.is(fourth.index, policy.CodeKeyRevoked)() || !deleted.is(fourth.index, policy.CodeKeyInvalid)() {
		t.Error("a key that was taken back works again")
	}
}

func TestADamagedSnapshotIsNotServed(t *testing.T) {
	n := newTenant(t)
	options := Options{SnapshotDir: t.TempDir()}
	first := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return first.Ready() == nil })
	first.end()
	path := filepath.Join(options.SnapshotDir, "snapshot")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	back := away(t)
	second := n.start(plane.Config, options)
	eventually(t, "it was put aside", func() bool {
		_, err := os.Stat(path + ".refused")
		return err == nil
	})
	if err := second.Ready(); err == nil {
		t.Error("it is ready without any source")
	}
	if second.index.Counts() != (keyindex.Counts{}) {
		t.Error("something was taken from it")
	}
	back()
	eventually(t, "the key works", n.is(second.index, policy.CodeValid))
}

func TestTwoDoNotShareADirectory(t *testing.T) {
	n := newTenant(t)
	options := Options{SnapshotDir: t.TempDir()}
	n.start(plane.Config, options)
	_, err := New(Options{Config: plane.Config, Namespace: n.operator, Index: keyindex.New(), SnapshotDir: options.SnapshotDir})
	if err == nil || !strings.Contains(err.Error(), "another verifier") {
		t.Errorf("the second one got %v", err)
	}
}

func TestBeyondTheGreatestStalenessItIsNotReadyUntilTheAPIServerAnswers(t *testing.T) {
	n := newTenant(t)
	clock := clocktesting.NewFakeClock(time.Now())
	options := Options{SnapshotDir: t.TempDir(), MaxStaleness: 5 * time.Minute, Clock: clock}
	first := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return first.Ready() == nil })
	back := away(t)
	eventually(t, "it is noticed", func() bool { return first.contacts.byResource["apikeys"].failing.Load() })
	clock.Step(4 * time.Minute)
	if err := first.Ready(); err != nil {
		t.Errorf("before its time: %v", err)
	}
	clock.Step(2 * time.Minute)
	if err := first.Ready(); err == nil || !strings.Contains(err.Error(), "--max-staleness allows 5m") {
		t.Errorf("beyond its time: %v", err)
	}
	first.end()

	second := n.start(plane.Config, options)
	eventually(t, "the snapshot is loaded", n.is(second.index, policy.CodeValid))
	if err := second.Ready(); err == nil {
		t.Error("a restart made it fresh")
	}
	back()
	eventually(t, "it is ready", func() bool { return second.Ready() == nil })
}

func TestATimeAheadOfTheClockIsNoTime(t *testing.T) {
	n := newTenant(t)
	clock := clocktesting.NewFakeClock(time.Now())
	options := Options{SnapshotDir: t.TempDir(), MaxStaleness: 5 * time.Minute, Clock: clock}
	first := n.start(plane.Config, options)
	eventually(t, "it is ready", func() bool { return first.Ready() == nil })
	first.end()
	away(t)
	clock.SetTime(clock.Now().Add(-time.Hour))
	second := n.start(plane.Config, options)
	eventually(t, "the snapshot is loaded", n.is(second.index, policy.CodeValid))
	if err := second.Ready(); err == nil || !strings.Contains(err.Error(), "an unknown time") {
		t.Errorf("with a clock that was set back: %v", err)
	}
}
