package usage

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/controllers/verifierclient"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

const feedTimeout = 30 * time.Second

// feed reads a verifier's usage feeds. It is not safe for concurrent use.
type feed struct{ verifier *verifierclient.Client }

// newFeed makes a feed of the verifier at base. The files are as those of verifierclient.Options.
func newFeed(base, caFile, tokenFile string) (*feed, error) {
	verifier, err := verifierclient.New(verifierclient.Options{
		URL: base, CAFile: caFile, TokenFile: tokenFile, Timeout: feedTimeout,
	})
	if err != nil {
		return nil, err
	}
	return &feed{verifier}, nil
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
	return f.verifier.Get(ctx, path, url.Values{usagefeed.After: {strconv.FormatInt(after, 10)}}, into)
}
