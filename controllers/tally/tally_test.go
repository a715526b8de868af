package tally

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func TestCount(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	key := func(spec v1alpha1.KeyState, state string, end time.Duration) v1alpha1.ApiKey {
		k := v1alpha1.ApiKey{Spec: v1alpha1.ApiKeySpec{State: spec}, Status: v1alpha1.ApiKeyStatus{State: state}}
		if end != 0 {
			k.Status.ExpiresAt = &metav1.Time{Time: now.Add(end)}
		}
		return k
	}
	legacy := func(k v1alpha1.ApiKey) v1alpha1.ApiKey {
		k.Status.Legacy = true
		return k
	}
	got := count([]v1alpha1.ApiKey{
		legacy(key(v1alpha1.KeyActive, "Active", 0)),
		key(v1alpha1.KeyActive, "Active", time.Hour),
		key(v1alpha1.KeyActive, "Active", -time.Second),  // its own status is behind
		legacy(key(v1alpha1.KeyDisabled, "Disabled", 0)), // it can work again
		key(v1alpha1.KeyDisabled, "Disabled", 2*time.Minute),
		legacy(key(v1alpha1.KeyActive, "WorkspaceSuspended", -time.Hour)),
		key(v1alpha1.KeyActive, "Pending", 0),
		key(v1alpha1.KeyRevoked, "Active", time.Minute), // its own status is behind
		legacy(key(v1alpha1.KeyRevoked, "Revoked", -time.Hour)),
	}, now)
	want := Tally{v1alpha1.KeyCounts{Total: 9, Active: 2, Expired: 2, Revoked: 2, Legacy: 2}, 2 * time.Minute}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := count(nil, now); got != (Tally{}) {
		t.Errorf("of no keys: %+v", got)
	}
}
