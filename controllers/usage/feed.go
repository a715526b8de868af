package usage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// feed reads a verifier's usage feed.
type feed struct {
	url    string
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
		url:      parsed.JoinPath(usagefeed.Path).String(),
		caFile:   caFile,
		identity: &rest.Config{Host: base, BearerTokenFile: tokenFile, Timeout: feedTimeout},
	}, nil
}

// read returns the page after a seq.
func (f *feed) read(ctx context.Context, after int64) (usagefeed.Page, error) {
	if err := f.trust(); err != nil {
		return usagefeed.Page{}, err
	}
	query := url.Values{usagefeed.After: {strconv.FormatInt(after, 10)}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"?"+query.Encode(), nil)
	if err != nil {
		return usagefeed.Page{}, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return usagefeed.Page{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	body := io.LimitReader(response.Body, maxPage)
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
		return usagefeed.Page{}, fmt.Errorf("%s answered %s: %s", f.url, response.Status, bytes.TrimSpace(message))
	}
	var page usagefeed.Page
	if err := json.NewDecoder(body).Decode(&page); err != nil {
		return usagefeed.Page{}, fmt.Errorf("%s answered no page of usage: %w", f.url, err)
	}
	return page, nil
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

// cursor reads a feed to its end, and from the beginning where that is called for.
type cursor struct {
	feed  *feed
	epoch string
	after int64
}

var (
	errBackwards = errors.New("the verifier's feed goes back: its next is before what was asked for")
	errEpochs    = errors.New("the verifier's feed begins anew again and again: do several verifiers with a database each share --verifier-url?")
)

// readAll hands every key that changed since the last call to observe, oldest change first.
func (c *cursor) readAll(ctx context.Context, observe func([]usagefeed.Key)) error {
	restarted := false
	for {
		page, err := c.feed.read(ctx, c.after)
		switch {
		case err != nil:
			return err
		case page.Epoch != c.epoch && c.after > 0:
			if restarted {
				return errEpochs
			}
			c.epoch, c.after, restarted = page.Epoch, 0, true
			continue
		case page.Next < c.after:
			return errBackwards
		}
		c.epoch = page.Epoch
		observe(page.Keys)
		if page.Next == c.after {
			return nil
		}
		c.after = page.Next
	}
}
