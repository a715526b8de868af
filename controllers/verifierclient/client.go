// Package verifierclient asks a verifier over its protected port, with the operator's token and
// with trust in nobody but the authority of the verifiers' certificates.
package verifierclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"k8s.io/client-go/transport"
)

const (
	// Ten times what the largest answer, a page of usage with the longest names, comes to.
	maxAnswer = 16 << 20
	// As much of an error's body as fits a log line.
	maxErrorBody = 300
)

// Options for New.
type Options struct {
	// URL is the verifier's protected port, https://<host>:<port>.
	URL string
	// CAFile is the authority its certificate is checked against, and TokenFile the token that it is shown.
	// Neither has to exist yet, and both are read again when they change.
	CAFile, TokenFile string
	// Timeout is the longest that one question may take.
	Timeout time.Duration
	// Dial connects to the verifier, by whatever address; nil: to that which the URL's host has. The
	// certificate is for the URL's host all the same.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks one verifier. It is not safe for concurrent use.
type Client struct {
	o    Options
	base *url.URL

	ca        []byte
	client    *http.Client
	transport *http.Transport
}

// New makes a Client. The error says that the URL cannot be used.
func New(o Options) (*Client, error) {
	base, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	return &Client{o: o, base: base}, nil
}

// ParseURL reads the URL of a verifier's protected port.
func ParseURL(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Scheme != "https" || base.Hostname() == "" {
		return nil, fmt.Errorf("--verifier-url must read https://<host>:<port>, because a token is sent there; it is %q", text)
	}
	return base, nil
}

// Get asks for a path and decodes the answer. The error says what was asked of whom, and is that of
// the network where there was no answer.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	if err := c.trust(); err != nil {
		return err
	}
	at := c.base.JoinPath(path)
	asked := *at
	asked.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, asked.String(), nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
		return fmt.Errorf("%s answered %s: %s", at, response.Status, bytes.TrimSpace(message))
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("%s did not answer as a verifier does: %w", at, err)
	}
	return nil
}

// Close gives up connections that nothing uses.
func (c *Client) Close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// trust makes the client anew when the authority has changed: certificates are renewed, and
// an authority too, while the operator runs.
func (c *Client) trust() error {
	ca, err := os.ReadFile(c.o.CAFile)
	if err != nil {
		return fmt.Errorf("the authority to trust the verifier by cannot be read: %w", err)
	}
	if c.client != nil && bytes.Equal(ca, c.ca) {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("the authority in %s cannot be used: it holds no certificate", c.o.CAFile)
	}
	// HTTP/1.1: there is one question at a time, and a connection on which one was not answered in
	// time is not used for the next.
	fresh := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext:         c.o.Dial,
		TLSHandshakeTimeout: c.o.Timeout,
		MaxIdleConns:        1,
		IdleConnTimeout:     90 * time.Second,
	}
	if c.o.Dial == nil {
		fresh.Proxy = http.ProxyFromEnvironment
	}
	authorized, err := transport.NewBearerAuthWithRefreshRoundTripper("", c.o.TokenFile, fresh)
	if err != nil {
		return fmt.Errorf("the token to show the verifier cannot be read: %w", err)
	}
	c.Close()
	c.ca, c.transport = ca, fresh
	c.client = &http.Client{
		Transport: authorized,
		Timeout:   c.o.Timeout,
		// The token goes to the verifier only, wherever an answer points to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}
