package valkey

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

func TestSlotsAreThoseOfTheSpecification(t *testing.T) {
	for tag, want := range map[string]uint16{"123456789": 0x31C3, "": 0, "foo": 12182, "bar": 5061} {
		if got := slotOf(tag); got != want%slots {
			t.Errorf("%q: slot %d, want %d", tag, got, want%slots)
		}
	}
}

// byMaster finds a tag for each master of a cluster.
func byMaster(t *testing.T, s *Store, c *valkeyserver.Cluster) map[*valkeyserver.Server]string {
	t.Helper()
	tags := map[*valkeyserver.Server]string{}
	now := s.servers.Load()
	for i := 0; len(tags) < len(c.Masters); i++ {
		tag := fmt.Sprint("workspace-", i)
		addr := now.nodes[now.slots[slotOf(tag)]].addr
		for _, m := range c.Masters {
			if m.Addr() == addr {
				tags[m] = tag
			}
		}
	}
	return tags
}

// request asks for all kinds at once, with a limit in shadow mode beside them.
func request(tag string) []Ask {
	var asks []Ask
	for _, r := range kinds() {
		asks = append(asks, ask(r))
	}
	asks = append(asks, ask(&limit.Rule{Max: 3, Per: time.Hour}))
	asks[len(asks)-1].Group = 1
	for i := range asks {
		asks[i].Counter.Tag = tag
	}
	return asks
}

// A cluster of three, with workspaces on each: every request is for counters of all kinds at once. Then a master
// goes away, for which its replica takes over.
func TestACluster(t *testing.T) {
	t.Parallel()
	c := valkeyserver.StartCluster(t)
	replica := c.AddReplica(c.Masters[0])
	h, log := hear()
	stores := []*Store{
		start(t, Options{URL: c.URL(), Log: log}),
		start(t, Options{URL: "redis://" + c.Masters[1].Addr()}), // one is enough to find the others
	}
	tags := byMaster(t, stores[0], c)
	requests := map[*valkeyserver.Server][]Ask{}
	for m, tag := range tags {
		requests[m] = request(tag)
		for i := range 6 {
			results := take(t, stores[i%2], requests[m]...)
			if shadow := results[5]; !all(results[:5]) || shadow.Allowed != (i < 3) {
				t.Fatalf("request %d: %+v", i, results)
			}
		}
		for i, a := range requests[m][:4] {
			if got := used(t, stores[0], a); got != 6 {
				t.Errorf("%d of limit %d are used", got, i)
			}
		}
	}
	for _, s := range stores {
		wait(t, "the verifiers know of each other", func() bool { return s.Verifiers() == 2 })
	}

	gone := c.Masters[0]
	gone.Kill()
	wait(t, "the outage is noticed", func() bool { return !stores[0].connected() && !stores[1].connected() })
	for m, asks := range requests {
		// Its share is half of the limit.
		for range 3 {
			if results := take(t, stores[0], asks...); !all(results[:5]) {
				t.Errorf("refused while a master is away: %+v", results)
			}
		}
		if got, err := stores[0].Draw(context.Background(), time.Now(), []limitstore.Draw{{Counter: asks[0].Counter, Rule: asks[0].Rule, Want: 1}}); (err != nil) != (m == gone) {
			t.Errorf("drawn while a master is away: %v, %v", got, err)
		}
	}
	c.Promote(replica)
	waitSettled(t, stores...)
	for m, asks := range requests {
		want := int64(9)
		if m != gone {
			want = 10 // with what was drawn
		}
		if got := used(t, stores[1], asks[0]); got != want {
			t.Errorf("%d are counted, want %d", got, want)
		}
		if got := used(t, stores[1], asks[2]); got != 9 {
			t.Errorf("of the quota %d are counted", got)
		}
	}
	begun, ended := <-h.lines, <-h.lines
	if !strings.Contains(begun, "cannot be asked") || !strings.Contains(ended, "again") || len(h.lines) > 0 {
		t.Errorf("logged: %s, %s and %d more", begun, ended, len(h.lines))
	}
}

// Slots move from one master to another while requests come.
func TestSlotsMoveInACluster(t *testing.T) {
	t.Parallel()
	c := valkeyserver.StartCluster(t)
	s := start(t, Options{URL: c.URL(), Timeout: inTime})
	from, to := c.Masters[0], c.Masters[1]
	asks := request(byMaster(t, s, c)[from])[:4]
	for i := range asks { // without end
		asks[i].Rule.Max, asks[i].Rule.Burst = limit.MaxRequests, limit.MaxRequests
	}
	slot := fmt.Sprint(slotOf(asks[0].Counter.Tag))
	l := put(t, []*Store{s}, [][]Ask{asks})
	l.some()
	ids := map[*valkeyserver.Server]string{}
	for _, m := range c.Masters {
		ids[m] = fmt.Sprint(m.Do("CLUSTER", "MYID"))
	}
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from])
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
	l.some()
	host, port, _ := strings.Cut(to.Addr(), ":")
	for _, key := range from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100").([]any) {
		from.Do("MIGRATE", host, port, key.(string), "0", "5000")
		l.some()
	}
	l.some()
	for _, m := range c.Masters {
		m.Do("CLUSTER", "SETSLOT", slot, "NODE", ids[to])
	}
	wait(t, "the store knows who has the slot", func() bool {
		now := s.servers.Load()
		return now.nodes[now.slots[slotOf(asks[0].Counter.Tag)]].addr == to.Addr()
	})
	l.some()
	l.end()
	waitSettled(t, s)
	for _, i := range []int{0, 2, 3} { // and tokens flow in
		if counted, admitted, lost := used(t, s, asks[i]), l.admitted.Load(), failures(s); counted < admitted || counted > admitted+lost {
			t.Errorf("%v: %d were admitted, %d answers were lost, and %d are counted", asks[i].Rule.Kind, admitted, lost, counted)
		}
	}
}
