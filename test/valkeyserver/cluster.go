package valkeyserver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Cluster is three masters that share the 16384 slots evenly. Where one of them is away the others
// go on.
type Cluster struct {
	t       testing.TB
	Masters []*Server
}

const (
	slots   = 16384
	masters = 3
)

// StartCluster starts a cluster and waits until it serves.
func StartCluster(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters {
		c.Masters = append(c.Masters, Start(t, append(opts, func(o *options) { o.cluster = true })...))
	}
	for i, m := range c.Masters {
		// Members that begin with the same epoch would quarrel for a while.
		m.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		give := []string{"CLUSTER", "ADDSLOTS"}
		for slot := i * slots / masters; slot < (i+1)*slots/masters; slot++ {
			give = append(give, strconv.Itoa(slot))
		}
		m.Do(give...)
	}
	for _, m := range c.Masters[1:] {
		c.meet(m)
	}
	c.wait("all members serve", func() bool { return c.serve(c.Masters) })
	return c
}

// serve says whether members know each other, and who has which slot.
func (c *Cluster) serve(members []*Server) bool {
	for _, m := range members {
		info := fmt.Sprint(m.Do("CLUSTER", "INFO"))
		for _, want := range []string{
			"cluster_state:ok", fmt.Sprintf("cluster_slots_assigned:%d", slots), fmt.Sprintf("cluster_known_nodes:%d", len(members)),
		} {
			if !strings.Contains(info, want+"\r\n") {
				return false
			}
		}
	}
	return true
}

// Addrs is where the masters listen.
func (c *Cluster) Addrs() []string {
	var all []string
	for _, m := range c.Masters {
		all = append(all, m.Addr())
	}
	return all
}

// URL is how to connect to the cluster: by any of its masters.
func (c *Cluster) URL() string { return "redis://" + strings.Join(c.Addrs(), ",") }

// AddReplica adds the one replica of a master, and waits until it has what the master has.
func (c *Cluster) AddReplica(of *Server, opts ...Option) *Server {
	c.t.Helper()
	replica := Start(c.t, append(opts, func(o *options) { o.cluster = true })...)
	c.meet(replica)
	id := fmt.Sprint(of.Do("CLUSTER", "MYID"))
	c.wait("the replica is known to all", func() bool { return c.serve(append([]*Server{replica}, c.Masters...)) })
	replica.Do("CLUSTER", "REPLICATE", id)
	c.wait("the replica has what its master has", func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "master_link_status:up")
	})
	return replica
}

// Promote makes a replica the master in the place of its own, which may be away.
func (c *Cluster) Promote(replica *Server) {
	c.t.Helper()
	replica.Do("CLUSTER", "FAILOVER", "TAKEOVER")
	c.wait("the replica serves", func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "role:master") &&
			strings.Contains(fmt.Sprint(replica.Do("CLUSTER", "INFO")), "cluster_state:ok")
	})
}

func (c *Cluster) meet(s *Server) {
	c.t.Helper()
	s.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Masters[0].port))
}

func (c *Cluster) wait(what string, done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("The cluster did not come to this: %s.", what)
		}
	}
}
