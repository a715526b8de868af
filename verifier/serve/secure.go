package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/internal/servingcert"
)

// transport is what the doors speak: plain text, or TLS with files that may come later and
// change.
type transport struct {
	certificate *servingcert.Certificate
	clients     *servingcert.ClientCAs
	// config is nil for plain text.
	config *tls.Config
}

// newTransport is plain text if certDir is empty. With a clientCAFile, clients must be certified.
func newTransport(certDir, clientCAFile string, log logr.Logger) (*transport, error) {
	if certDir == "" {
		if clientCAFile != "" {
			return nil, errors.New("--client-ca-file needs --tls-cert-dir: clients can be asked for certificates over TLS only")
		}
		return &transport{}, nil
	}
	t := &transport{certificate: servingcert.New(certDir, log), config: &tls.Config{}}
	t.certificate.Configure(t.config)
	t.config.NextProtos = []string{"h2", "http/1.1"}
	if clientCAFile != "" {
		t.clients = servingcert.NewClientCAs(clientCAFile, log)
		t.clients.Configure(t.config)
	}
	return t, nil
}

// ready says what is missing before anybody can connect; nil: nothing.
func (t *transport) ready() error {
	if t.certificate != nil {
		if err := t.certificate.Ready(); err != nil {
			return fmt.Errorf("--tls-cert-dir: %w", err)
		}
	}
	if t.clients != nil {
		if err := t.clients.Ready(); err != nil {
			return fmt.Errorf("--client-ca-file: %w", err)
		}
	}
	return nil
}

// start follows the files until ctx ends.
func (t *transport) start(ctx context.Context) {
	if t.certificate != nil {
		go t.certificate.Start(ctx) //nolint:errcheck // it ends with ctx, and never with an error
	}
	if t.clients != nil {
		go t.clients.Start(ctx) //nolint:errcheck // it ends with ctx, and never with an error
	}
}
