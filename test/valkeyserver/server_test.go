package valkeyserver

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func TestAServerIsEmptyAfterARestart(t *testing.T) {
	s := Start(t)
	s.Do("SET", "a", "1")
	s.Restart()
	if got := s.Do("GET", "a"); got != nil {
		t.Errorf("it still has %v", got)
	}
}

func TestAServerThatWritesDownHasItAfterARestart(t *testing.T) {
	s := Start(t, AppendOnly(), Password("secret"))
	s.Do("SET", "a", "1")
	s.Restart()
	if got := s.Do("GET", "a"); got != "1" {
		t.Errorf("it has %v", got)
	}
	s.Flush()
	if got := s.Do("GET", "a"); got != nil {
		t.Errorf("emptied, it has %v", got)
	}
}

func TestAStoppedServerAnswersWhenItContinues(t *testing.T) {
	s := Start(t)
	s.Stop()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatalf("a stopped server does not take connections: %v", err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PING\r\n")
	conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := conn.Read(make([]byte, 10)); n > 0 {
		t.Error("a stopped server answers")
	}
	s.Continue()
	conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := conn.Read(make([]byte, 10)); n == 0 {
		t.Errorf("a server that continues does not answer: %v", err)
	}
}

func TestAKilledServerIsGone(t *testing.T) {
	s := Start(t)
	s.Kill()
	if _, err := s.Ask("PING"); err == nil {
		t.Error("it answers")
	}
	s.Kill() // again
}

func TestAClusterSharesTheSlots(t *testing.T) {
	c := StartCluster(t)
	served, moved := 0, 0
	for _, m := range c.Masters {
		if _, err := m.Ask("SET", "{a}", "1"); err == nil {
			served++
		} else if strings.Contains(err.Error(), "MOVED") {
			moved++
		}
	}
	if served != 1 || moved != 2 {
		t.Errorf("%d members serve a key, and %d say who does", served, moved)
	}
}

func TestAReplicaTakesOver(t *testing.T) {
	c := StartCluster(t)
	key := "{06S}" // of slot 0, which the first has
	c.Masters[0].Do("SET", key, "1")
	replica := c.AddReplica(c.Masters[0])
	c.Masters[0].Kill()
	c.Promote(replica)
	if got := replica.Do("GET", key); got != "1" {
		t.Errorf("it has %v", got)
	}
}
