package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the networks whose word is taken for where a client is.
type proxies []netip.Prefix

func newProxies(networks []netip.Prefix) proxies {
	var trusted proxies
	for _, network := range networks {
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		trusted = append(trusted, network.Masked())
	}
	return trusted
}

func (p proxies) trust(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// client is where a request comes from: the peer or, behind trusted proxies, the right-most
// address in X-Forwarded-For that is none of theirs, as whatever stands left of it the client may
// have written itself. If it cannot be told, the address is the zero one, which is in no network.
func (p proxies) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := plain(peer.Addr())
	if !p.trust(client) {
		return client
	}
	forwarded := r.Header["X-Forwarded-For"]
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
