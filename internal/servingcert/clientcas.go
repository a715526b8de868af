package servingcert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// ClientCAs are the newest authorities of a file, by whom clients must be certified.
type ClientCAs struct {
	file  string
	log   logr.Logger
	read  []byte // what the pool was made of
	pool  atomic.Pointer[x509.CertPool]
	fault string // told last
}

// NewClientCAs makes ClientCAs that certify nobody until Start has found the file.
func NewClientCAs(file string, log logr.Logger) *ClientCAs {
	return &ClientCAs{file: file, log: log}
}

// maxBundle is the longest file that is read, in bytes: some thousand authorities.
const maxBundle = 4 << 20

var errNoAuthorities = errors.New("the authorities that certify clients are not there yet")

// Configure makes a server refuse whoever is not certified. Whatever else there is to configure
// must be so already.
//
// Sessions cannot be resumed: that would let in who was certified by an authority that is no
// longer there.
func (c *ClientCAs) Configure(config *tls.Config) {
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.SessionTicketsDisabled = true
	base := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool := c.pool.Load()
		if pool == nil {
			return nil, errNoAuthorities
		}
		current := base.Clone()
		current.ClientCAs = pool
		return current, nil
	}
}

// Ready says that it is not known yet by whom clients must be certified; nil: it is.
func (c *ClientCAs) Ready() error {
	if c.pool.Load() == nil {
		return errNoAuthorities
	}
	return nil
}

// Start looks for changes of the file until ctx ends. A file that goes away, or that cannot be
// made sense of, changes nothing.
func (c *ClientCAs) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		c.look()
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
	return nil
}

func (c *ClientCAs) look() {
	bundle, err := readBundle(c.file)
	if err == nil && bytes.Equal(bundle, c.read) {
		c.fault = ""
		return
	}
	var pool *x509.CertPool
	if err == nil {
		pool, err = parseBundle(bundle)
	}
	if err != nil {
		if c.fault != err.Error() {
			c.fault = err.Error()
			c.log.Error(err, "The authorities that certify clients cannot be read; those read last go on to hold", "file", c.file)
		}
		return
	}
	c.pool.Store(pool)
	c.read, c.fault = bundle, ""
	c.log.Info("The authorities that certify clients are there", "file", c.file)
}

func readBundle(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	bundle, err := io.ReadAll(io.LimitReader(file, maxBundle+1))
	if err == nil && len(bundle) > maxBundle {
		err = fmt.Errorf("it is longer than %d bytes; leave in only the authorities that certify your clients", maxBundle)
	}
	return bundle, err
}

func parseBundle(bundle []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, errors.New("there is no certificate in it; it must hold certificates in PEM")
	}
	return pool, nil
}
