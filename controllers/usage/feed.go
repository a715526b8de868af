package usage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

const (
	feedTimeout = 30 * time.Second
	// Ten times what a page of the longest names comes to.
	maxPage = 16 << 20
	// As much of an error's body as fits a log line.
	maxErrorBody = 300
)

// feed reads a verifier's usage feeds. It is not safe for concurrent use.
type feed struct {
	base   *url.URL
	caFile string
	// identity is what the operator shows the verifier.
	identity *rest.Config

	ca     []byte
	client *http.Client
}

// newFeed makes a feed of the verifier at base, whose certificate the authority in caFile
// signed. Neither file has to exist yet, and both are read again when they change.
func newFeed(base, caFile, tokenFile string) (*feed, error) {
	parsed, err := url.Parse(base)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" {
		return nil, fmt.Errorf("--verifier-url must read https://<host>:<port>, because a token is sent there; it is %q", base)
	}
	return &feed{
		base:     parsed,
		caFile:   caFile,
		identity: &rest.Config{Host: base, BearerTokenFile: tokenFile, Timeout: feedTimeout},
	}, nil
}

// keys returns the page of the keys that changed after a seq.
func (f *feed) keys(ctx context.Context, after int64) (page[usagefeed.Key], error) {
	var p usagefeed.Page
	err := f.read(ctx, usagefeed.Path, after, &p)
	return page[usagefeed.Key]{p.Epoch, p.Next, p.Keys}, err
}

// limits returns the page of the limits that changed after a seq.
func (f *feed) limits(ctx context.Context, after int64) (page[usagefeed.Limit], error) {
	var p usagefeed.LimitPage
	err := f.read(ctx, usagefeed.LimitsPath, after, &p)
	return page[usagefeed.Limit]{p.Epoch, p.Next, p.Limits}, err
}

func (f *feed) read(ctx context.Context, path string, after int64, into any) error {
	if err := f.trust(); err != nil {
		return err
	}
	query := url.Values{usagefeed.After: {strconv.FormatInt(after, 10)}}
	at := f.base.JoinPath(path).String()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body := io.LimitReader(response.Body, maxPage)
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
		return fmt.Errorf("%s answered %s: %s", at, response.Status, bytes.TrimSpace(message))
	}
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("%s answered no page of usage: %w", at, err)
	}
	return nil
}

// trust makes the client anew when the authority has changed: certificates are renewed, and
// an authority too, while the operator runs.
func (f *feed) trust() error {
	ca, err := os.ReadFile(f.caFile)
	if err != nil {
		return fmt.Errorf("the authority to trust the verifier by cannot be read: %w", err)
	}
	if f.client != nil && bytes.Equal(ca, f.ca) {
		return nil
	}
	config := rest.CopyConfig(f.identity)
	config.CAData = ca
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("the authority in %s cannot be used: %w", f.caFile, err)
	}
	// The token goes to the verifier only, wherever an answer points to.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.ca, f.client = ca, client
	return nil
}
