package validation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
)

// ApprovedEnd is when a key ends by its spec and its workspace's policy, if it was issued at
// the given time: at its expiresAt, or after its ttl, or after the workspace's defaultTTL. It is nil
// where none of these is set. Whether the end is allowed is for ApiKey to say.
func ApprovedEnd(key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace, issuedAt time.Time) *time.Time {
	var (
		explicit *time.Time
		ttl      time.Duration
	)
	switch {
	case key.Spec.ExpiresAt != nil:
		explicit = &key.Spec.ExpiresAt.Time
	case key.Spec.TTL != nil:
		ttl = key.Spec.TTL.Duration
	case workspace != nil && workspace.Spec.Keys.DefaultTTL != nil:
		ttl = workspace.Spec.Keys.DefaultTTL.Duration
	}
	end := policy.ExpiresAt(explicit, ttl, issuedAt, nil)
	if end.IsZero() {
		return nil
	}
	return &end
}

// lifetime checks a key's end against its workspace's maxTTL.
func lifetime(path *field.Path, key *v1alpha1.ApiKey, refs References, now time.Time) field.ErrorList {
	if refs.Workspace == nil || refs.Workspace.Spec.Keys.MaxTTL == nil {
		return nil
	}
	var (
		issuedAt = refs.issuedAt(now)
		longest  = refs.Workspace.Spec.Keys.MaxTTL.Duration
		latest   = issuedAt.Add(longest)
		end      = ApprovedEnd(key, refs.Workspace, issuedAt)
		allows   = fmt.Sprintf("Workspace %q lets a key live for at most %s", refs.Workspace.Name, readable(longest))
	)
	switch {
	case end == nil:
		return field.ErrorList{field.Required(path.Child("ttl"), allows+": set ttl or expiresAt")}
	case !end.After(latest):
		return nil
	case key.Spec.ExpiresAt != nil:
		if !refs.IssuedAt.IsZero() {
			// Of a key that is yet to be issued that changes from second to second, and so would its status.
			allows += ", here until " + timestamp(latest)
		}
		return field.ErrorList{field.Invalid(path.Child("expiresAt"), timestamp(*end), allows+": set an earlier end")}
	case key.Spec.TTL != nil:
		return field.ErrorList{field.Invalid(path.Child("ttl"), readable(key.Spec.TTL.Duration),
			allows+": set a shorter ttl")}
	}
	return field.ErrorList{field.Required(path.Child("ttl"), allows+", and its defaultTTL is longer: set ttl or expiresAt")}
}

// notOver refuses a key that would have ended before it was made: it must be a mistake.
func notOver(path *field.Path, key *v1alpha1.ApiKey, now time.Time) field.ErrorList {
	if end := key.Spec.ExpiresAt; end != nil && !end.After(now) {
		return field.ErrorList{field.Invalid(path.Child("expiresAt"), timestamp(end.Time),
			"is in the past: set a time to come, or leave the key out")}
	}
	return nil
}

// issuedAt is when the key was issued; one that was not yet would be now.
func (r References) issuedAt(now time.Time) time.Time {
	if r.IssuedAt.IsZero() {
		return now
	}
	return r.IssuedAt
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
