package presented

import (
	"net/netip"
	"strings"
	"testing"
)

func TestWhereAClientIs(t *testing.T) {
	trusted := NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"), netip.MustParsePrefix("::ffff:172.16.0.0/108")})
	tests := map[string]struct {
		peer      string
		forwarded []string
		want      string // empty: not known
	}{
		"no proxy":                            {"192.0.2.1:1234", nil, "192.0.2.1"},
		"a liar without a proxy":              {"192.0.2.1:1234", []string{"203.0.113.9"}, "192.0.2.1"},
		"an IPv4 peer on an IPv6 socket":      {"[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		"a peer with a zone":                  {"[fe80::1%eth0]:1234", nil, "fe80::1"},
		"a Unix socket":                       {"@", []string{"203.0.113.9"}, ""},
		"one proxy":                           {"10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"one proxy on an IPv6 socket":         {"[::ffff:10.0.0.1]:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"a proxy trusted as IPv4 in IPv6":     {"172.16.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"two proxies":                         {"10.0.0.1:1234", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"two proxies, two headers":            {"10.0.0.1:1234", []string{"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		"a liar behind a proxy":               {"10.0.0.1:1234", []string{"10.9.9.9, 198.51.100.7, 203.0.113.9"}, "203.0.113.9"},
		"a liar with a header of his own":     {"10.0.0.1:1234", []string{"198.51.100.7", "203.0.113.9"}, "203.0.113.9"},
		"nonsense from the client":            {"10.0.0.1:1234", []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		"nonsense from the proxy":             {"10.0.0.1:1234", []string{"203.0.113.9, unknown"}, ""},
		"an IPv6 client":                      {"10.0.0.1:1234", []string{"2001:db8::9"}, "2001:db8::9"},
		"an IPv6 client in brackets":          {"10.0.0.1:1234", []string{"[2001:db8::9]"}, "2001:db8::9"},
		"a client with its port":              {"10.0.0.1:1234", []string{"203.0.113.9:5555"}, "203.0.113.9"},
		"an IPv6 client with its port":        {"10.0.0.1:1234", []string{"[2001:db8::9]:5555"}, "2001:db8::9"},
		"an IPv4 client written as IPv6":      {"10.0.0.1:1234", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"a trusted IPv6 proxy in between":     {"10.0.0.1:1234", []string{"203.0.113.9, 2001:db8:ffff::1"}, "203.0.113.9"},
		"empty entries":                       {"10.0.0.1:1234", []string{"203.0.113.9, ,", ""}, "203.0.113.9"},
		"the proxy itself":                    {"10.0.0.1:1234", nil, "10.0.0.1"},
		"a client within the trusted network": {"10.0.0.1:1234", []string{"10.5.5.5, 10.0.0.2"}, "10.5.5.5"},
		"a list without end":                  {"10.0.0.1:1234", []string{strings.Repeat("10.0.0.1,", 5000) + "203.0.113.9"}, "203.0.113.9"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			peer, _ := netip.ParseAddrPort(test.peer)
			got := trusted.Client(peer.Addr(), test.forwarded)
			if text := got.String(); got.IsValid() && text != test.want || !got.IsValid() && test.want != "" {
				t.Errorf("got %s, want %q", got, test.want)
			}
		})
	}
}

// Whatever a client writes: behind a trusted proxy the address is the one the proxy put
// last, or none.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", "10.0.0.1, x", "[::1]:2", ",,,", "::ffff:10.1.1.1", "fe80::1%eth0", "\x00"} {
		f.Add(seed)
	}
	trusted := NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	last := netip.MustParseAddr("203.0.113.9")
	f.Fuzz(func(t *testing.T, written string) {
		proxy, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
		for _, forwarded := range [][]string{{written, last.String()}, {written + ", " + last.String()}, {written + "," + last.String() + ":99", "10.0.0.7"}} {
			if got := trusted.Client(proxy, forwarded); got != last {
				t.Errorf("%q: got %s", forwarded, got)
			}
		}
		if got := trusted.Client(proxy, []string{written}); got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q: got %s, which no network contains", written, got)
		}
		if got := trusted.Client(stranger, []string{written}); got != stranger {
			t.Errorf("%q: an untrusted peer is taken for %s", written, got)
		}
	})
}
