package propagation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

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

// look asks every verifier once, all at a time, and keeps what they told.
func (v *Verifiers) look(ctx context.Context) {
	found := look{began: v.clock.Now(), reports: map[string]applied.Report{}}
	peers, err := v.peers(ctx)
	var mu sync.Mutex
	faults := []error{err}
	var asking sync.WaitGroup
	for _, p := range peers {
		client := v.clients[p]
		asking.Go(func() {
			var report applied.Report
			err := client.Get(ctx, applied.Path, nil, &report)
			if err == nil && report.Verifier == "" {
				err = fmt.Errorf("%s answered something else than how far it has come", p.base.JoinPath(applied.Path))
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				found.reports[report.Verifier] = report
			case !isNobody(err, p.address):
				faults = append(faults, fmt.Errorf("%s: %w", p.address, err))
			}
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return
	}
	err = errors.Join(faults...)
	found.unknown = err != nil
	v.mu.Lock()
	v.newest = found
	v.mu.Unlock()
	v.metrics.verifiers.Set(float64(len(found.reports)))
	v.tell(err, len(found.reports))
}

// isNobody says whether an error means that no verifier is there, and not that one may be. A machine
// may have a name for itself with an address that it does not have, such as localhost without IPv6.
func isNobody(err error, address netip.Addr) bool {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return true
	}
	return address.IsLoopback() && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETUNREACH))
}

// tell logs trouble once when it begins and once when it ends.
func (v *Verifiers) tell(err error, live int) {
	const all = ""
	trouble := all
	switch {
	case err != nil:
		trouble = "some"
	case live == 0:
		trouble = "none"
	}
	if trouble == v.trouble {
		return
	}
	v.trouble = trouble
	switch {
	case err != nil:
		v.log.Info("Not every verifier tells how far it has come: until they do, no revocation counts as complete", "reason", err.Error())
	case live == 0:
		v.log.Info("No verifier is there to tell how far it has come", "verifiers", strings.Join(v.options.VerifierURLs, ", "))
	default:
		v.log.Info("Every verifier tells how far it has come", "count", live)
	}
}

// peers are the addresses to ask now, each with a client. The error says whose could not be looked up;
// such a host keeps those that it had.
func (v *Verifiers) peers(ctx context.Context) (peers []peer, err error) {
	var faults []error
	known := map[peer]bool{}
	for _, base := range v.urls {
		r := v.resolve(ctx, base)
		faults = append(faults, r.err)
		for _, address := range r.addresses {
			p := peer{base, address}
			if known[p] {
				continue
			}
			if err := v.connect(p); err != nil {
				faults = append(faults, err)
				continue
			}
			known[p] = true
			peers = append(peers, p)
		}
	}
	for p, client := range v.clients {
		if !known[p] {
			client.Close()
			delete(v.clients, p)
		}
	}
	return peers, errors.Join(faults...)
}

// resolve looks up a host's addresses, unless it did so just now.
func (v *Verifiers) resolve(ctx context.Context, base *url.URL) resolution {
	before, now := v.resolved[base], v.clock.Now()
	if before.err == nil && !before.at.IsZero() && now.Sub(before.at) < resolveEvery {
		return before
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	after := resolution{at: now}
	addresses, err := v.lookup(ctx, base.Hostname())
	if err != nil {
		after.addresses = before.addresses
		after.err = fmt.Errorf("the addresses of %s cannot be looked up: %w", base.Hostname(), err)
	}
	for _, address := range addresses {
		after.addresses = append(after.addresses, address.Unmap())
	}
	v.resolved[base] = after
	return after
}

func (v *Verifiers) connect(p peer) error {
	if v.clients[p] != nil {
		return nil
	}
	at := net.JoinHostPort(p.address.String(), cmp.Or(p.base.Port(), "443"))
	client, err := verifierclient.New(verifierclient.Options{
		URL: p.base.String(), CAFile: v.options.CAFile, TokenFile: v.options.TokenFile, Timeout: askTimeout,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		},
	})
	if err != nil {
		return err
	}
	v.clients[p] = client
	return nil
}

func (v *Verifiers) close() {
	for _, client := range v.clients {
		client.Close()
	}
}
