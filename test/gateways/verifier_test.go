package gateways

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/extauthz"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// The names of the keys there are. Each but limited may be used as often as one likes.
const (
	keyGood      = "good"      // orders:read
	keyBare      = "bare"      // no scopes at all
	keyReports   = "reports"   // reports:read
	keyExpired   = "expired"   //
	keyRevoked   = "revoked"   //
	keyDisabled  = "disabled"  //
	keySuspended = "suspended" // of a workspace that is
	keyAccount   = "account"   // of a service account that is suspended
	keyNear      = "near"      // may be used from where the tests' client is
	keyFar       = "far"       // may be used from farAddress only
	keyLimited   = "limited"   // one request an hour
)

// clientAddress is where requests come from; gateways and the verifier are at 127.0.0.1, so
// that nobody takes the client for a trusted proxy.
const (
	clientAddress = "127.0.0.2"
	farAddress    = "192.0.2.7"
)

// verifierProcess is a verifier with its doors on a port of its own.
type verifierProcess struct {
	address     string // host:port of the HTTP doors
	grpcAddress string // of the door for Envoy
	keys        map[string]string
	ready       atomic.Bool
	stalled     atomic.Bool // takes questions and does not answer
	stop        func()
}

func startVerifier(t *testing.T) *verifierProcess {
	t.Helper()
	x := indextest.New()
	p := &verifierProcess{keys: issueKeys(t, x)}
	p.ready.Store(true)
	v, err := verifier.New(verifier.Options{Index: x})
	if err != nil {
		t.Fatal(err)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	handler, err := httpapi.NewHandler(v, httpapi.Options{Ready: p.isReady, TrustedProxies: trusted})
	if err != nil {
		t.Fatal(err)
	}
	envoys, err := extauthz.New(v, extauthz.Options{Ready: p.isReady, TrustedProxies: trusted, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	stopHTTP := p.serve(t, &p.address, func(ctx context.Context, listener net.Listener) error {
		return httpapi.Serve(ctx, listener, handler, time.Second, logr.Discard())
	})
	stopGRPC := p.serve(t, &p.grpcAddress, func(ctx context.Context, listener net.Listener) error {
		return envoys.Serve(ctx, listener, time.Millisecond)
	})
	p.stop = func() {
		stopHTTP()
		stopGRPC()
	}
	return p
}

func (p *verifierProcess) isReady() error {
	if !p.ready.Load() {
		return errors.New("the test says so")
	}
	return nil
}

// serve returns what ends it, which may be called more than once.
func (p *verifierProcess) serve(t *testing.T, address *string, run func(context.Context, net.Listener) error) func() {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	*address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		run(ctx, stallable{listener, &p.stalled})
	}()
	stop := func() {
		cancel()
		<-served
	}
	t.Cleanup(stop)
	return stop
}

func issueKeys(t *testing.T, x *keyindex.Index) map[string]string {
	indextest.SetWorkspace(x, "closed", func(w *v1alpha1.WorkspaceSpec) { w.Suspended = true })
	indextest.SetAccount(x, "robot", func(a *v1alpha1.ServiceAccountSpec) { a.Suspended = true })
	indextest.SetLimit(x, "hourly", 1, time.Hour, 0)
	keys := map[string]string{}
	issue := func(name string, edits ...func(*v1alpha1.ApiKeySpec)) {
		orders := func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"orders:read"} }
		keys[name] = indextest.Issue(t, x, name, append([]func(*v1alpha1.ApiKeySpec){orders}, edits...)...)
	}
	issue(keyGood)
	issue(keyBare, func(s *v1alpha1.ApiKeySpec) { s.Scopes = nil })
	issue(keyReports, func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"reports:read"} })
	issue(keyExpired, func(s *v1alpha1.ApiKeySpec) {
		s.ExpiresAt = &metav1.Time{Time: indextest.IssuedAt.Add(time.Hour)}
	})
	issue(keyRevoked, func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked })
	issue(keyDisabled, func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyDisabled })
	issue(keySuspended, func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef.Name = "closed" })
	issue(keyAccount, func(s *v1alpha1.ApiKeySpec) {
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
	})
	issue(keyNear, func(s *v1alpha1.ApiKeySpec) { s.AllowedCIDRs = []v1alpha1.CIDR{clientAddress + "/32"} })
	issue(keyFar, func(s *v1alpha1.ApiKeySpec) { s.AllowedCIDRs = []v1alpha1.CIDR{farAddress + "/32"} })
	issue(keyLimited, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = indextest.Refs("hourly") })
	return keys
}
