package usage

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// news is what a feed told of one object.
type news interface {
	// id is the object's UID, or of a group its kind and name.
	id() string
	// change compares it with what the object's status shows.
	change(context.Context, statuses) (change, error)
}

// change is what there is to write.
type change struct {
	// object is as the cache has it; nil where there is none (any more).
	object client.Object
	// usage is what the status is to show; nil where it does.
	usage any
	// exhausted is set where a key has run out, whether its status shows that or not.
	exhausted *exhaustion
	// lastShown is the last use that the status tells of; zero where it tells of none. Of a key whose
	// replaced one is in use it is the last use of that one, if that is longer ago: an overlap may end for want of
	// it. Of limits it tells no time: showing is whether there is any usage in it.
	lastShown time.Time
	showing   bool
}

// shown is how old the status is. That of a limit counts as being as old as that of a key that is always in
// use, so that neither come before the others.
func (c *change) shown(now time.Time) time.Time {
	if c.showing {
		return now.Add(-writeEvery)
	}
	return c.lastShown
}

type ofKey struct{ usagefeed.Key }

func (k ofKey) id() string { return k.ID }

func (k ofKey) change(ctx context.Context, s statuses) (c change, err error) {
	apiKey, err := s.apiKey(ctx, k.ID)
	if err != nil || apiKey == nil {
		return change{}, err
	}
	if c.exhausted, err = s.exhaustion(ctx, k.Exhausted); err != nil {
		return change{}, err
	}
	c.object = apiKey
	has, desired := apiKey.Status.Usage, keyUsage(&k.Key, c.exhausted, int(apiKey.Status.KeyGeneration))
	if has == nil || !equality.Semantic.DeepEqual(has, desired) {
		c.usage = desired
	}
	if has != nil && has.LastUsedAt != nil {
		c.lastShown = has.LastUsedAt.Time
		if previous := desired.PreviousLastUsedAt; previous != nil && !previous.Equal(has.PreviousLastUsedAt) {
			c.lastShown = earlier(c.lastShown, has.PreviousLastUsedAt)
		}
	}
	return c, nil
}

// earlier is the earlier of two; one that is not set was never.
func earlier(a time.Time, b *metav1.Time) time.Time {
	switch {
	case b == nil:
		return time.Time{}
	case b.Time.Before(a):
		return b.Time
	}
	return a
}

type ofLimit struct{ usagefeed.Limit }

func (l ofLimit) id() string { return l.ID }

func (l ofLimit) change(ctx context.Context, s statuses) (c change, err error) {
	limit, err := s.keyLimit(ctx, l.ID)
	if err != nil || limit == nil {
		return change{}, err
	}
	c.object, c.showing = limit, limit.Status.Usage != nil
	desired := v1alpha1.LimitUsage{
		ThrottledKeys: l.ThrottledKeys, ExhaustedKeys: l.ExhaustedKeys, Denied: l.Denied, ShadowDenied: l.ShadowDenied,
	}
	if has := limit.Status.Usage; has == nil || *has != desired {
		c.usage = &desired
	}
	return c, nil
}

type ofGroup struct{ usagefeed.Group }

func (g ofGroup) id() string { return g.Kind + "/" + g.Name }

func (g ofGroup) change(ctx context.Context, s statuses) (c change, err error) {
	object, has, err := s.group(ctx, g.Kind, g.Name)
	if err != nil || object == nil {
		return change{}, err
	}
	c.object = object
	if desired := groupUsage(&g.Group); has == nil || !equality.Semantic.DeepEqual(has, desired) {
		c.usage = desired
	}
	if has != nil && has.LastUsedAt != nil {
		c.lastShown = has.LastUsedAt.Time
	}
	return c, nil
}
