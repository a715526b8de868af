package adminapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

// patience is for what other goroutines and the file system have to do first.
const patience = 30 * time.Second

func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	// The key first: a pair that does not match yet is read again.
	writePEM(t, filepath.Join(dir, "tls.key"), "PRIVATE KEY", keyDER)
	writePEM(t, filepath.Join(dir, "tls.crt"), "CERTIFICATE", der)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, dir string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{
		CertDir: dir, Protect: func(next http.Handler) http.Handler { return next },
		Usage: counted{}, Metrics: prometheus.NewRegistry(), Now: time.Now, Log: logr.Discard(),
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return listener.Addr().String()
}

// served is the serial number of the certificate that a client is shown; 0 without one.
func served(address string) int64 {
	connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return 0
	}
	defer connection.Close() //nolint:errcheck // a test
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func await(t *testing.T, address string, serial int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); served(address) != serial; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("certificate %d is not served", serial)
		}
	}
}

func TestThePortWaitsForItsCertificateAndFollowsItsRenewal(t *testing.T) {
	dir := t.TempDir()
	address := serve(t, dir)
	if got := served(address); got != 0 {
		t.Fatalf("certificate %d is served though there is none", got)
	}
	writeCertificate(t, dir, 1)
	await(t, address, 1)
	writeCertificate(t, dir, 2)
	await(t, address, 2)
}

func TestPlainHTTPIsRefused(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	address := serve(t, dir)
	await(t, address, 1)
	response, err := http.Get("http://" + address + "/usage")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // a test
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("answered %s", response.Status)
	}
}
