// Package servingcert is a server's certificate in a folder. The operator makes it and the
// kubelet mounts it, both perhaps long after the server started: servers listen before that,
// and only whoever connects has to wait.
package servingcert

import (
	"context"
	"crypto/tls"
	"errors"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Certificate is the newest tls.crt and tls.key of a folder.
type Certificate struct {
	dir     string
	log     logr.Logger
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

// New makes a Certificate that has nothing to show until Start has found the files.
func New(dir string, log logr.Logger) *Certificate {
	return &Certificate{dir: dir, log: log}
}

const lookEvery = 500 * time.Millisecond

var errMissing = errors.New("the certificate is not there yet")

// Configure makes a server show the certificate. HTTP/2 is left out: on ports that a few
// clients poll it would only add ways to exhaust them.
func (c *Certificate) Configure(config *tls.Config) {
	config.MinVersion = tls.VersionTLS12
	config.NextProtos = []string{"http/1.1"}
	config.GetCertificate = c.get
}

func (c *Certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if watcher := c.watcher.Load(); watcher != nil {
		return watcher.GetCertificate(hello)
	}
	return nil, errMissing
}

// Ready says that there is no certificate to show yet; nil: there is one.
func (c *Certificate) Ready() error {
	if c.watcher.Load() == nil {
		return errMissing
	}
	return nil
}

// Start looks for the files until they are there, then follows their changes until ctx ends.
func (c *Certificate) Start(ctx context.Context) error {
	told := ""
	for ctx.Err() == nil {
		watcher, err := certwatcher.New(filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key"))
		if err == nil {
			c.watcher.Store(watcher)
			c.log.Info("The certificate is there", "dir", c.dir)
			told = ""
			// It returns when ctx ends, or when the files went away again.
			err = watcher.Start(ctx)
		}
		if err != nil && told != err.Error() {
			told = err.Error()
			c.log.Info("Waiting for the certificate; until it is there nobody can connect", "dir", c.dir, "reason", told)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
	return nil
}

// NeedLeaderElection says that every replica serves.
func (*Certificate) NeedLeaderElection() bool { return false }
