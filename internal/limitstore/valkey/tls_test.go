package valkey

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// startTLS puts TLS before a server, and tells where that is, and in which file the certificate.
func startTLS(t *testing.T, backend string) (addr, file string) {
	lent := httptest.NewTLSServer(nil) // which has a certificate for the loopback interface
	t.Cleanup(lent.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lent.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				back, err := net.Dial("tcp", backend)
				if err != nil {
					return
				}
				go io.Copy(back, conn)
				io.Copy(conn, back)
			}()
		}
	}()
	file = filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String(), file
}

// Go reads SSL_CERT_FILE once, so this runs in a process of its own.
func TestAServerIsAskedByTLS(t *testing.T) {
	if url := os.Getenv("ASK_BY_TLS"); url != "" {
		s := start(t, Options{URL: url})
		if results := take(t, s, ask(&limit.Rule{Max: 1, Per: time.Hour})); !results[0].Allowed || failures(s) > 0 {
			t.Errorf("%+v", results)
		}
		return
	}
	addr, file := startTLS(t, valkeyserver.Start(t).Addr())
	child := exec.Command(os.Args[0], "-test.run=^TestAServerIsAskedByTLS$")
	child.Env = append(os.Environ(), "ASK_BY_TLS=rediss://"+addr, "SSL_CERT_FILE="+file)
	if said, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestACertificateThatNobodyKnowsIsAnOutage(t *testing.T) {
	addr, _ := startTLS(t, valkeyserver.Start(t).Addr())
	h, log := hear()
	s := run(t, Options{URL: "rediss://" + addr, Log: log})
	if line := <-h.lines; !strings.Contains(line, "certificate") {
		t.Errorf("logged %s", line)
	}
	if s.connected() {
		t.Error("it is asked")
	}
}
