package presented

import (
	"net/netip"
	"strings"

	"github.com/claviger-dev/claviger/internal/network"
)

// Proxies are the networks whose word is taken for where a client is.
type Proxies struct {
	networks *network.Set
}

// NewProxies trusts networks, in whichever way they are written.
func NewProxies(networks []netip.Prefix) Proxies { return Proxies{network.New(networks)} }

// None says whether nobody is trusted, so that there is no need to look for what they say.
func (p Proxies) None() bool { return p.networks == nil }

func (p Proxies) trust(address netip.Addr) bool { return p.networks.Contains(address) }

// Client is where a request comes from: the peer or, behind trusted proxies, the right-most
// address in X-Forwarded-For that is none of theirs, as whatever stands left of it the client may
// have written itself. If it cannot be told, the address is the zero one, which is in no network.
func (p Proxies) Client(peer netip.Addr, forwarded []string) netip.Addr {
	client := plain(peer)
	if !p.trust(client) {
		return client
	}
	for i := len(forwarded) - 1; i >= 0; i-- {
		for rest, more := forwarded[i], true; more; {
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			if client = parseForwarded(entry); !p.trust(client) {
				return client
			}
		}
	}
	return client
}

// parseForwarded reads an entry of X-Forwarded-For: an address, or one with a port, as some
// proxies write.
func parseForwarded(entry string) netip.Addr {
	if address, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return plain(address)
	}
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return plain(withPort.Addr())
	}
	return netip.Addr{}
}

// plain writes an address in the one way that networks are compared with.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
