package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// The files of a certificate directory.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// How often to look whether the certificate is there. Only a starting process waits for it.
const certificatePoll = 250 * time.Millisecond

// Server is a webhook server that begins to serve once its certificate is there, whoever puts
// it there, where controller-runtime's would end the whole process. Later certificates are taken up
// as they come.
type Server struct {
	webhook.Server
	certDir string
}

// NewServer makes a server for manager.Options.WebhookServer. The host may be empty: all addresses.
func NewServer(host string, port int, certDir string) *Server {
	return &Server{
		Server:  webhook.NewServer(webhook.Options{Host: host, Port: port, CertDir: certDir, CertName: certFile, KeyName: keyFile}),
		certDir: certDir,
	}
}

// Start waits for the certificate and then serves until the context ends.
func (s *Server) Start(ctx context.Context) error {
	ticker := time.NewTicker(certificatePoll)
	defer ticker.Stop()
	for !s.hasCertificate() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	return s.Server.Start(ctx)
}

func (s *Server) hasCertificate() bool {
	_, err := tls.LoadX509KeyPair(filepath.Join(s.certDir, certFile), filepath.Join(s.certDir, keyFile))
	return err == nil
}

// ReadyCheck says whether the webhook serves and the API server has been told to trust its
// certificate. certsReady is what AddCertRotation returned; nil where others care for certificates.
func ReadyCheck(server webhook.Server, certsReady <-chan struct{}) healthz.Checker {
	started := server.StartedChecker()
	return func(request *http.Request) error {
		if certsReady != nil {
			select {
			case <-certsReady:
			default:
				return errors.New("the webhook's certificate is not in place yet")
			}
		}
		return started(request)
	}
}
