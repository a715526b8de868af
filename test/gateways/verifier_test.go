package gateways

import (
	"context"
	"errors"
	"net"
	"net/http"
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
	address string // host:port of the HTTP doors
	keys    map[string]string
	ready   atomic.Bool
	stalled atomic.Bool // takes questions and does not answer
	v       *verifier.Verifier
	stop    func()
}

func startVerifier(t *testing.T) *verifierProcess {
	t.Helper()
	x := indextest.New()
	p := &verifierProcess{keys: issueKeys(t, x)}
	p.ready.Store(true)
	var err error
	if p.v, err = verifier.New(verifier.Options{Index: x}); err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.NewHandler(p.v, httpapi.Options{
		Ready: func() error {
			if !p.ready.Load() {
				return errors.New("the test says so")
			}
			return nil
		},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = listener.Addr().String()
	p.stop = serve(t, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.stalled.Load() {
			<-r.Context().Done()
			return
		}
		handler.ServeHTTP(w, r)
	}))
	return p
}

// serve returns what ends it, which may be called more than once.
func serve(t *testing.T, listener net.Listener, handler http.Handler) func() {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		// What gateways keep open is cut off.
		httpapi.Serve(ctx, listener, handler, time.Second, logr.Discard())
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
