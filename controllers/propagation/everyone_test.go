package propagation

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"testing"

	testclock "k8s.io/utils/clock/testing"
)

func TestWhoDoesNotAnswerIsToldApartByWhy(t *testing.T) {
	const nobody, atWork, stopped = "nobody", "at work", "stopped"
	for name, test := range map[string]struct {
		address string
		err     error
		is      string
	}{
		"refused by another machine": {"192.0.2.1", syscall.ECONNREFUSED, stopped},
		"refused by this one":        {"::1", syscall.ECONNREFUSED, nobody},
		"no IPv6 here":               {"::1", syscall.EADDRNOTAVAIL, nobody},
		"no way there":               {"192.0.2.1", syscall.EHOSTUNREACH, atWork},
		"no network":                 {"2001:db8::1", syscall.ENETUNREACH, atWork},
		"nonsense":                   {"127.0.0.1", errors.New("nonsense"), atWork},
	} {
		a := Answers{Mute: map[string]bool{}}
		p := peer{&url.URL{Scheme: "https", Host: "verifier"}, netip.MustParseAddr(test.address)}
		a.add(p, nil, fmt.Errorf("asking: %w", test.err))
		is := nobody
		switch {
		case a.Silent != nil && a.Refused == nil:
			is = atWork
		case a.Refused != nil && a.Silent == nil:
			is = stopped
		}
		if is != test.is || !a.Mute[p.at()] {
			t.Errorf("%s: taken for %q, want %q", name, is, test.is)
		}
	}
}

func TestVerifiersOnOneMachineAreToldApartByTheirPorts(t *testing.T) {
	first := serve(t, "127.0.0.1", "0", has("a", "7"))
	second := serve(t, "127.0.0.1", "0", has("b", "7"))
	e := verifiers(t, first, testclock.NewFakeClock(start), "127.0.0.1").everyone
	e.urls = append(e.urls, &url.URL{Scheme: "https", Host: "example.com:" + second.port()})
	second.tells(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	found := e.Ask(t.Context())
	if len(found.Reports) != 1 || found.At["a"] != first.Listener.Addr().String() || found.Mute[found.At["a"]] || !found.Mute[second.Listener.Addr().String()] {
		t.Errorf("found %+v", found)
	}
}
