package validation

import (
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func withTTLs(defaultTTL, maxTTL time.Duration) *v1alpha1.Workspace {
	return aWorkspace(func(w *v1alpha1.Workspace) {
		if defaultTTL > 0 {
			w.Spec.Keys.DefaultTTL = lasting(defaultTTL)
		}
		if maxTTL > 0 {
			w.Spec.Keys.MaxTTL = lasting(maxTTL)
		}
	})
}

func endless(k *v1alpha1.ApiKey) { k.Spec.TTL, k.Spec.ExpiresAt = nil, nil }

func TestApprovedEnd(t *testing.T) {
	for _, c := range []struct {
		name      string
		key       *v1alpha1.ApiKey
		workspace *v1alpha1.Workspace
		want      time.Duration // from when it was issued; 0: none
	}{
		{"an explicit end counts", aKey(withEnd(in(7 * day))), withTTLs(day, 0), 7 * day},
		{"a ttl counts from the issue", aKey(withTTL(3 * day)), withTTLs(day, 0), 3 * day},
		{"the workspace's default counts where there is neither", aKey(endless), withTTLs(day, 30*day), day},
		{"a maximum is no default", aKey(endless), withTTLs(0, 30*day), 0},
		{"a workspace without a default gives none", aKey(endless), aWorkspace(), 0},
		{"no workspace gives none", aKey(endless), nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ApprovedEnd(c.key, c.workspace, now)
			switch {
			case c.want == 0 && got != nil:
				t.Errorf("ends at %v, want no end", got)
			case c.want > 0 && (got == nil || !got.Equal(now.Add(c.want))):
				t.Errorf("ends at %v, want %v", got, now.Add(c.want))
			}
		})
	}
}

func TestLifetime(t *testing.T) {
	const longest = 30 * day
	issued := now.Add(-10 * day)
	for _, c := range []struct {
		name      string
		key       *v1alpha1.ApiKey
		workspace *v1alpha1.Workspace
		issuedAt  time.Time
		want      []string
	}{
		{"no maximum, no end", aKey(endless), aWorkspace(), time.Time{}, nil},
		{"a ttl of just the maximum", aKey(withTTL(longest)), withTTLs(0, longest), time.Time{}, nil},
		{"a ttl over the maximum", aKey(withTTL(longest + time.Second)), withTTLs(0, longest), time.Time{},
			[]string{`spec.ttl: Workspace "shop" lets a key live for at most 720h: set a shorter ttl`}},
		{"a maximum and no end", aKey(endless), withTTLs(0, longest), time.Time{},
			[]string{"spec.ttl: Required value: Workspace \"shop\" lets a key live for at most 720h: set ttl or expiresAt"}},
		{"a maximum and a default", aKey(endless), withTTLs(day, longest), time.Time{}, nil},
		{"a default over the maximum, which only a bypassed API server stores", aKey(endless), withTTLs(60*day, longest), time.Time{},
			[]string{"spec.ttl: its defaultTTL is longer"}},
		{"an end within the maximum from now on", aKey(withEnd(in(longest))), withTTLs(0, longest), time.Time{}, nil},
		{"an end beyond the maximum from now on", aKey(withEnd(in(longest + time.Second))), withTTLs(0, longest), time.Time{},
			[]string{"spec.expiresAt: for at most 720h: set an earlier end"}},
		{"an end within the maximum from the issue on", aKey(withEnd(in(20 * day))), withTTLs(0, longest), issued, nil},
		{"an end beyond the maximum from the issue on", aKey(withEnd(in(20*day + time.Second))), withTTLs(0, longest), issued,
			[]string{"spec.expiresAt: here until 2026-03-21T12:00:00Z"}},
		{"an end in the past", aKey(withEnd(in(-time.Second))), aWorkspace(), time.Time{},
			[]string{"spec.expiresAt: in the past"}},
		{"an end right now", aKey(withEnd(in(0))), aWorkspace(), time.Time{}, []string{"spec.expiresAt: in the past"}},
		{"an end in the past of a key that was issued", aKey(withEnd(in(-time.Second))), aWorkspace(), issued, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, ApiKey(c.key, References{Workspace: c.workspace, IssuedAt: c.issuedAt}, now), c.want...)
		})
	}
}
