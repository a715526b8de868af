// Package network is sets of IP networks: which addresses a key may be used from, and which
// proxies are believed.
package network

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Set is a set of networks. The nil Set is empty.
type Set struct {
	table bart.Lite
}

// New makes a Set. An IPv4 network that is written as IPv6 (::ffff:10.0.0.0/104) is that IPv4
// network. What is no network is left out, so that nothing is in it; but only without any networks
// at all is the Set nil.
func New(networks []netip.Prefix) *Set {
	if len(networks) == 0 {
		return nil
	}
	s := &Set{}
	for _, network := range networks {
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		if network.IsValid() {
			s.table.Insert(network.Masked())
		}
	}
	return s
}

// Contains says whether an address is in one of the networks. It may have a zone, which is
// left aside; the zero address is in none.
func (s *Set) Contains(address netip.Addr) bool {
	return s != nil && address.IsValid() && s.table.Contains(address.Unmap().WithZone(""))
}
