// Package tally counts keys for those who sum them up. The state that each key's own
// status tells is what counts, but for keys that ended meanwhile.
package tally

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

// Tally is what was counted.
type Tally struct {
	Counts v1alpha1.KeyCounts
	// UntilNextEnd is when the next of the keys ends by time alone; zero: none does.
	UntilNextEnd time.Duration
}

// Of counts the keys that an index of ApiKeys finds.
func Of(ctx context.Context, reader client.Reader, namespace, index, value string, now time.Time) (Tally, error) {
	var keys v1alpha1.ApiKeyList
	err := reader.List(ctx, &keys, client.InNamespace(namespace), client.MatchingFields{index: value},
		client.UnsafeDisableDeepCopy) // they are only looked at, and may be many
	if err != nil {
		return Tally{}, err
	}
	return count(keys.Items, now), nil
}

func count(keys []v1alpha1.ApiKey, now time.Time) (t Tally) {
	for i := range keys {
		key := &keys[i]
		end := key.Status.ExpiresAt
		t.Counts.Total++
		if key.Status.Legacy && validation.Counts(key, now) {
			t.Counts.Legacy++
		}
		switch {
		case key.Spec.State == v1alpha1.KeyRevoked:
			t.Counts.Revoked++
		case end != nil && !now.Before(end.Time):
			t.Counts.Expired++
		case key.Status.State == v1alpha1.ReasonActive:
			t.Counts.Active++
		}
		if end == nil || !now.Before(end.Time) || key.Spec.State == v1alpha1.KeyRevoked {
			continue
		}
		if left := end.Sub(now); t.UntilNextEnd == 0 || left < t.UntilNextEnd {
			t.UntilNextEnd = left
		}
	}
	return t
}

// Changed lets pass what may change a count.
func Changed() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		old, key := e.ObjectOld.(*v1alpha1.ApiKey), e.ObjectNew.(*v1alpha1.ApiKey)
		return old.UID != key.UID || old.Spec.State != key.Spec.State || old.Status.State != key.Status.State ||
			!old.Status.ExpiresAt.Equal(key.Status.ExpiresAt) || old.Status.Legacy != key.Status.Legacy
	}}
}
