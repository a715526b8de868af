package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// secured answers 200 to whoever gets through TLS.
func secured(t *testing.T, certDir, clientCAFile string) (address string) {
	t.Helper()
	transport, err := newTransport(certDir, clientCAFile, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	transport.start(ctx)
	ended := make(chan error, 1)
	server := httpapi.Server{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		TLS:     transport.config, ShutdownTimeout: patience, Log: logr.Discard(),
	}
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// visitor is a client that comes with a session of its own for as long as it lives.
type visitor struct {
	client *http.Client
	url    string
}

func visit(address string, trusts *authority, certificates ...tls.Certificate) *visitor {
	roots := x509.NewCertPool()
	roots.AddCert(trusts.certificate)
	config := &tls.Config{
		RootCAs: roots, ServerName: "verifier", Certificates: certificates,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	return &visitor{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}},
		url:    "https://" + address,
	}
}

func (v *visitor) get() (*http.Response, error) {
	response, err := v.client.Get(v.url)
	if err == nil {
		response.Body.Close()
	}
	return response, err
}

func (v *visitor) admitted() bool {
	_, err := v.get()
	return err == nil
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about that " + what)
		}
	}
}

func TestTheDoorsWaitForTheirCertificateAndFollowItsRenewal(t *testing.T) {
	ca, dir := newAuthority(t, "servers"), t.TempDir()
	address := secured(t, dir, "")
	if visit(address, ca).admitted() {
		t.Fatal("somebody was served without a certificate")
	}
	for _, serial := range []int64{1, 2} {
		ca.server(t, dir, serial)
		eventually(t, "the new certificate is shown", func() bool {
			// Without a session from before, in which it is not shown again.
			response, err := visit(address, ca).get()
			return err == nil && response.TLS.PeerCertificates[0].SerialNumber.Int64() == serial
		})
	}
}

func TestTheDoorsSpeakHTTP2AndNoOldTLS(t *testing.T) {
	ca, dir := newAuthority(t, "servers"), t.TempDir()
	ca.server(t, dir, 1)
	address := secured(t, dir, "")
	client := visit(address, ca)
	eventually(t, "the doors open", client.admitted)
	if response, err := client.get(); err != nil || response.ProtoMajor != 2 {
		t.Errorf("answered %+v, %v, not by HTTP/2", response, err)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

func TestOnlyCertifiedClientsAreAdmitted(t *testing.T) {
	ca, clients, others, dir := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "clients"), t.TempDir()
	ca.server(t, dir, 1)
	file := filepath.Join(dir, "clients.crt")
	address := secured(t, dir, file)
	good := visit(address, ca, clients.client(t))
	if good.admitted() {
		t.Fatal("a client was admitted before it was known who certifies them")
	}
	write(t, file, encode(clients.certificate))
	eventually(t, "a certified client is admitted", good.admitted)
	for name, client := range map[string]*visitor{
		"a client without a certificate":               visit(address, ca),
		"a client of another authority":                visit(address, ca, others.client(t)),
		"a client that the server's authority vouches": visit(address, ca, ca.client(t)),
	} {
		if client.admitted() {
			t.Errorf("%s was admitted", name)
		}
	}
}

func TestTheAuthoritiesOfClientsMayChange(t *testing.T) {
	ca, first, second, dir := newAuthority(t, "servers"), newAuthority(t, "first"), newAuthority(t, "second"), t.TempDir()
	ca.server(t, dir, 1)
	file := filepath.Join(dir, "clients.crt")
	write(t, file, encode(first.certificate))
	address := secured(t, dir, file)
	old, renewed := visit(address, ca, first.client(t)), visit(address, ca, second.client(t))
	eventually(t, "the first client is admitted", old.admitted)

	write(t, file, append(encode(first.certificate), encode(second.certificate)...))
	eventually(t, "the second client is admitted beside it", renewed.admitted)
	if !old.admitted() {
		t.Error("the first client is no longer admitted, though its authority is still there")
	}
	write(t, file, encode(second.certificate))
	// It held a session of its last connection, which must not help it.
	eventually(t, "the first client is refused", func() bool { return !old.admitted() })
}

// The door for Envoy speaks by the same configuration.
func TestGRPCSpeaksTheSameTLS(t *testing.T) {
	ca, clients, dir := newAuthority(t, "servers"), newAuthority(t, "clients"), t.TempDir()
	ca.server(t, dir, 1)
	file := filepath.Join(dir, "clients.crt")
	write(t, file, encode(clients.certificate))
	transport, err := newTransport(dir, file, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	transport.start(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(transport.config)))
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	t.Cleanup(server.Stop)

	admitted := func(certificates ...tls.Certificate) bool {
		roots := x509.NewCertPool()
		roots.AddCert(ca.certificate)
		config := &tls.Config{RootCAs: roots, ServerName: "verifier", Certificates: certificates}
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{})
		return err == nil
	}
	certificate := clients.client(t)
	eventually(t, "a certified client is admitted", func() bool { return admitted(certificate) })
	if admitted() {
		t.Error("a client without a certificate was admitted")
	}
}

func TestClientCertificatesNeedTLS(t *testing.T) {
	options := unreachable(t)
	options.ClientCAFile = "clients.crt"
	if err := Run(context.Background(), options); err == nil || !strings.Contains(err.Error(), "--tls-cert-dir") {
		t.Errorf("the error is %v", err)
	}
}

func TestHealthChecksCanHaveAPortOfTheirOwn(t *testing.T) {
	options := unreachable(t)
	options.HealthListen, options.TLSCertDir, options.ClientCAFile = freeAddress(t), t.TempDir(), "not there"
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, options) }()
	healthPort := options
	healthPort.Listen = options.HealthListen
	eventually(t, "the port answers", func() bool { return status(healthPort, "GET", "/healthz") == http.StatusOK })
	for path, want := range map[string]int{"/readyz": 503, "/v1/auth": 404, "/": 404} {
		if got := status(healthPort, "GET", path); got != want {
			t.Errorf("%s was answered with %d, want %d", path, got, want)
		}
	}
	if got := status(options, "GET", "/healthz"); got == http.StatusOK {
		t.Error("the doors speak plain text though they have a folder for a certificate")
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("asked to end, it ended with %v", err)
	}
}

// Nobody is sent to a verifier that nobody can connect to.
func TestWithoutItsFilesForTLSItIsNotReady(t *testing.T) {
	ca, dir := newAuthority(t, "servers"), t.TempDir()
	file := filepath.Join(dir, "clients.crt")
	transport, err := newTransport(dir, file, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	transport.start(ctx)
	says := func(what string) func() bool {
		return func() bool {
			err := transport.ready()
			return err != nil && strings.Contains(err.Error(), what)
		}
	}
	eventually(t, "the certificate is missed", says("--tls-cert-dir"))
	write(t, filepath.Join(dir, "tls.key"), []byte("broken"))
	write(t, filepath.Join(dir, "tls.crt"), []byte("broken"))
	if !says("--tls-cert-dir")() {
		t.Errorf("with a broken certificate: %v", transport.ready())
	}
	ca.server(t, dir, 1)
	eventually(t, "the authorities are missed", says("--client-ca-file"))
	write(t, file, encode(ca.certificate))
	eventually(t, "it is ready", func() bool { return transport.ready() == nil })
	if plain, err := newTransport("", "", logr.Discard()); err != nil || plain.ready() != nil {
		t.Error("plain text needs files")
	}
}
