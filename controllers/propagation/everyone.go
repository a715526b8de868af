package propagation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/controllers/verifierclient"
	"github.com/claviger-dev/claviger/internal/applied"
)

const (
	// resolveEvery is how often the addresses of a host are looked up at most: in a cluster one look-up is
	// several questions to its DNS.
	resolveEvery   = time.Second
	resolveTimeout = 2 * time.Second
	// askTimeout is long for what a verifier answers out of memory, and short enough to ask
	// those again soon that do answer.
	askTimeout = time.Second
)

// Everyone are all verifiers: whatever is at the addresses that the hosts of some URLs have. It is not safe for
// concurrent use.
type Everyone struct {
	urls              []*url.URL
	caFile, tokenFile string
	clock             clock.Clock
	lookup            func(ctx context.Context, host string) ([]netip.Addr, error)
	resolved          map[*url.URL]resolution
	clients           map[peer]*verifierclient.Client
}

// resolution is what the addresses of a host were.
type resolution struct {
	at        time.Time
	addresses []netip.Addr
	err       error
}

// peer is one address of one URL's host.
type peer struct {
	base    *url.URL
	address netip.Addr
}

// at is where to connect to.
func (p peer) at() string { return net.JoinHostPort(p.address.String(), cmp.Or(p.base.Port(), "443")) }

// Answers are what all verifiers told of themselves.
type Answers struct {
	// Reports are by the process that gave them: one may have several addresses.
	Reports map[string]applied.Report
	// At is where each of them was asked, and Mute where nobody told anything.
	At   map[string]string
	Mute map[string]bool
	// Silent says why there may be verifiers that are at work and did not tell; nil: there are none.
	Silent error
	// Refused says where nothing listens and a verifier is to be all the same; nil: nowhere. It does no work there.
	Refused error
}

// NewEveryone knows the verifiers at some URLs. The files are as those of verifierclient.Options; the error says
// which URL cannot be used.
func NewEveryone(urls []string, caFile, tokenFile string, clock clock.Clock) (*Everyone, error) {
	e := &Everyone{
		caFile: caFile, tokenFile: tokenFile, clock: clock,
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		resolved: map[*url.URL]resolution{},
		clients:  map[peer]*verifierclient.Client{},
	}
	for _, text := range urls {
		base, err := verifierclient.ParseURL(text)
		if err != nil {
			return nil, err
		}
		e.urls = append(e.urls, base)
	}
	return e, nil
}

// Ask asks every verifier once, all at a time.
func (e *Everyone) Ask(ctx context.Context) Answers {
	peers, err := e.peers(ctx)
	found := Answers{Reports: map[string]applied.Report{}, At: map[string]string{}, Mute: map[string]bool{}, Silent: err}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, p := range peers {
		client := e.clients[p]
		asking.Go(func() {
			report, err := ask(ctx, client, p)
			mu.Lock()
			defer mu.Unlock()
			found.add(p, &report, err)
		})
	}
	asking.Wait()
	return found
}

func ask(ctx context.Context, client *verifierclient.Client, p peer) (report applied.Report, err error) {
	err = client.Get(ctx, applied.Path, nil, &report)
	if err == nil && report.Verifier == "" {
		err = fmt.Errorf("%s answered something else than how far it has come", p.base.JoinPath(applied.Path))
	}
	return report, err
}

func (a *Answers) add(p peer, report *applied.Report, err error) {
	a.Mute[p.at()] = err != nil
	switch {
	case err == nil:
		a.Reports[report.Verifier], a.At[report.Verifier] = *report, p.at()
	case isAbsent(err, p.address):
	case errors.Is(err, syscall.ECONNREFUSED):
		a.Refused = errors.Join(a.Refused, fmt.Errorf("%s: %w", p.at(), err))
	default:
		a.Silent = errors.Join(a.Silent, fmt.Errorf("%s: %w", p.at(), err))
	}
}

// isAbsent says whether an error means that no verifier is to be there. A machine may have a name for itself with
// addresses that it does not have or does not serve at, such as localhost without IPv6.
func isAbsent(err error, address netip.Addr) bool {
	return address.IsLoopback() &&
		(errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETUNREACH))
}

// peers are the addresses to ask now, each with a client. The error says whose could not be looked up;
// such a host keeps those that it had.
func (e *Everyone) peers(ctx context.Context) (peers []peer, err error) {
	var faults []error
	known := map[peer]bool{}
	for _, base := range e.urls {
		r := e.resolve(ctx, base)
		faults = append(faults, r.err)
		for _, address := range r.addresses {
			p := peer{base, address}
			if known[p] {
				continue
			}
			if err := e.connect(p); err != nil {
				faults = append(faults, err)
				continue
			}
			known[p] = true
			peers = append(peers, p)
		}
	}
	for p, client := range e.clients {
		if !known[p] {
			client.Close()
			delete(e.clients, p)
		}
	}
	return peers, errors.Join(faults...)
}

// resolve looks up a host's addresses, unless it did so just now.
func (e *Everyone) resolve(ctx context.Context, base *url.URL) resolution {
	before, now := e.resolved[base], e.clock.Now()
	if before.err == nil && !before.at.IsZero() && now.Sub(before.at) < resolveEvery {
		return before
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	after := resolution{at: now}
	addresses, err := e.lookup(ctx, base.Hostname())
	if err != nil {
		after.addresses = before.addresses
		after.err = fmt.Errorf("the addresses of %s cannot be looked up: %w", base.Hostname(), err)
	}
	for _, address := range addresses {
		after.addresses = append(after.addresses, address.Unmap())
	}
	e.resolved[base] = after
	return after
}

func (e *Everyone) connect(p peer) error {
	if e.clients[p] != nil {
		return nil
	}
	at := p.at()
	client, err := verifierclient.New(verifierclient.Options{
		URL: p.base.String(), CAFile: e.caFile, TokenFile: e.tokenFile, Timeout: askTimeout,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		},
	})
	if err != nil {
		return err
	}
	e.clients[p] = client
	return nil
}

// Close gives up connections that nothing uses.
func (e *Everyone) Close() {
	for _, client := range e.clients {
		client.Close()
	}
}
