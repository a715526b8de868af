package adminapi

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

// certificate is a key pair in a folder. The operator makes it and the kubelet mounts it,
// both perhaps long after the verifier started: requests for keys do not wait for that.
type certificate struct {
	dir     string
	log     logr.Logger
	watcher atomic.Pointer[certwatcher.CertWatcher]
}

const lookEvery = 500 * time.Millisecond

var errNoCertificate = errors.New("the certificate is not there yet")

func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if watcher := c.watcher.Load(); watcher != nil {
		return watcher.GetCertificate(hello)
	}
	return nil, errNoCertificate
}

// keepFresh looks for the files until they are there, then follows their changes.
func (c *certificate) keepFresh(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		watcher, err := certwatcher.New(filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key"))
		if err == nil {
			c.watcher.Store(watcher)
			c.log.Info("The protected port has its certificate", "dir", c.dir)
			// It returns when ctx ends, or when the files went away again.
			err = watcher.Start(ctx)
		}
		if err != nil && !told {
			c.log.Info("The protected port waits for its certificate", "dir", c.dir, "reason", err.Error())
			told = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}
