package valkey

import (
	"strconv"

	"github.com/claviger-dev/claviger/internal/limitstore"
)

// servers is where the counters are: with the one of several servers that can be written to or, in
// a cluster, each with the master of its slot.
type servers struct {
	nodes []*node
	slots *slotTable // nil where there is no cluster
}

// slotTable tells for each slot of a cluster which node has it, or -1.
type slotTable [slots]int16

const slots = 1 << 14

// use is the connection to ask about what has a tag; nil while it cannot be asked for.
func (s *servers) use(tag string) *connection {
	if s == nil {
		return nil
	}
	if s.slots != nil {
		if i := s.slots[slotOf(tag)]; i >= 0 {
			return s.nodes[i].use()
		}
		return nil
	}
	for _, n := range s.nodes {
		if c := n.use(); c != nil {
			return c
		}
	}
	return nil
}

// complete says whether there is no counter that cannot be asked for.
func (s *servers) complete() bool {
	if s == nil {
		return false
	}
	if s.slots == nil {
		return s.use("") != nil
	}
	for _, n := range s.nodes {
		if n.use() == nil {
			return false
		}
	}
	for _, i := range s.slots {
		if i < 0 {
			return false
		}
	}
	return true
}

// known says whether it is known how the servers are, so that one which is a replica is not taken for an
// outage before the others have been tried.
func (s *servers) known() bool {
	if s == nil || s.slots != nil {
		return true
	}
	for _, n := range s.nodes {
		if !n.tried.Load() {
			return false
		}
	}
	return true
}

// find is the connection to a server of an address; nil where there is none.
func (s *servers) find(addr string) *connection {
	for _, n := range s.nodes {
		if n.addr == addr {
			return n.use()
		}
	}
	return nil
}

// Counters of one tag are together: the part in braces is what decides on the slot.
const keyPrefix = "claviger:{"

func appendKey(b []byte, c limitstore.Counter) []byte {
	b = appendTag(b, c.Tag)
	b = append(b, c.Rule...)
	b = append(b, ':')
	return strconv.AppendUint(b, c.Subject, 16)
}

// appendSettledKey is where it is kept which debts of a verifier are settled.
func appendSettledKey(b []byte, tag, verifier string) []byte {
	b = appendTag(b, tag)
	b = append(b, "settled:"...)
	return append(b, verifier...)
}

func appendTag(b []byte, tag string) []byte {
	b = append(b, keyPrefix...)
	b = append(b, tag...)
	return append(b, "}:"...)
}

// verifiersKey is where verifiers are counted: in a cluster with each master, under a tag of a slot that
// it has, so that they can be counted, and it is known whether it can be written to, while others are away.
func verifiersKey(has func(slot uint16) bool) string {
	for n := range slots {
		if tag := strconv.Itoa(n); has(slotOf(tag)) {
			return "claviger:{" + tag + "}:verifiers"
		}
	}
	return allVerifiers
}

const allVerifiers = "claviger:verifiers"

// slotOf is the slot of what has a tag: CRC-16/XMODEM, as the cluster specification has it.
func slotOf(tag string) uint16 {
	var crc uint16
	for i := range len(tag) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^tag[i]]
	}
	return crc % slots
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
