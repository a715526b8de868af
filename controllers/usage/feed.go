package usage

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/controllers/verifierclient"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

const feedTimeout = 30 * time.Second

// feed reads the usage feeds of the first verifier, or, where all store usage in one place, of any that
// answers. It is not safe for concurrent use.
type feed struct {
	verifiers []*verifierclient.Client
	// answered is which of them did last, and shared is what it said of its usage.
	answered int
	shared   bool
}

var errNotShared = errors.New("the next verifier counts usage for itself, and so cannot stand in for the first")

// newFeed makes a feed of the verifiers at some URLs. The files are as those of verifierclient.Options.
func newFeed(urls []string, caFile, tokenFile string) (*feed, error) {
	f := &feed{}
	for _, base := range urls {
		verifier, err := verifierclient.New(verifierclient.Options{
			URL: base, CAFile: caFile, TokenFile: tokenFile, Timeout: feedTimeout,
		})
		if err != nil {
			return nil, err
		}
		f.verifiers = append(f.verifiers, verifier)
	}
	return f, nil
}

// keys returns the page of the keys that changed after a seq.
func (f *feed) keys(ctx context.Context, after int64) (page[usagefeed.Key], error) {
	p, err := ask(ctx, f, usagefeed.Path, after, func(p *usagefeed.Page) bool { return p.Shared })
	if err == nil {
		f.shared = p.Shared
	}
	return page[usagefeed.Key]{p.Epoch, p.Next, p.Keys, p.Shared, p.CountedUntil}, err
}

// groups returns the page of the Workspaces and ServiceAccounts whose keys changed after a seq.
func (f *feed) groups(ctx context.Context, after int64) (page[usagefeed.Group], error) {
	p, err := ask(ctx, f, usagefeed.GroupsPath, after, func(p *usagefeed.GroupPage) bool { return p.Shared })
	return page[usagefeed.Group]{p.Epoch, p.Next, p.Groups, p.Shared, time.Time{}}, err
}

// limits returns the page of the limits that changed after a seq.
func (f *feed) limits(ctx context.Context, after int64) (page[usagefeed.Limit], error) {
	// It does not say by itself whether it is of all verifiers.
	p, err := ask(ctx, f, usagefeed.LimitsPath, after, func(*usagefeed.LimitPage) bool { return f.shared })
	return page[usagefeed.Limit]{p.Epoch, p.Next, p.Limits, f.shared, time.Time{}}, err
}

// ask asks the verifier that answered last and, where it does not, the others in turn. What another than the
// first answers counts only where it is shared.
func ask[Page any](ctx context.Context, f *feed, path string, after int64, shared func(*Page) bool) (Page, error) {
	var errs []error
	for i := range f.verifiers {
		var p Page
		at := (f.answered + i) % len(f.verifiers)
		err := f.verifiers[at].Get(ctx, path, url.Values{usagefeed.After: {strconv.FormatInt(after, 10)}}, &p)
		if err == nil && at > 0 && !shared(&p) {
			err = errNotShared
		}
		if err == nil {
			f.answered = at
			return p, nil
		}
		errs = append(errs, err)
	}
	var none Page
	return none, errors.Join(errs...)
}
