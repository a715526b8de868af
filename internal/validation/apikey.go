package validation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The bounds of an ApiKey. The CRD's schema states the same, but for the length of a
// metadata key.
const (
	maxCIDRs         = 64
	maxMetadata      = 32
	maxMetadataKey   = 128
	maxMetadataValue = 512
)

// ApiKey checks a key. Unless refs say when it was issued, it is one that is yet to be.
func ApiKey(key *v1alpha1.ApiKey, refs References, now time.Time) field.ErrorList {
	errs := apiKey(key, refs, now)
	if refs.IssuedAt.IsZero() && key.Spec.State != v1alpha1.KeyRevoked {
		errs = append(errs, notOver(field.NewPath("spec"), key, now)...)
	}
	return errs
}

// ApiKeyUpdate checks a change. Errors that the old key had already are not raised again,
// an end may be put into the past, and revoking is refused by nothing but a change of what cannot
// be changed.
func ApiKeyUpdate(old, key *v1alpha1.ApiKey, refs References, now time.Time) field.ErrorList {
	errs := apiKeyTransition(&old.Spec, &key.Spec)
	if key.Spec.State == v1alpha1.KeyRevoked {
		return errs
	}
	return append(errs, unseen(apiKey(key, refs, now), apiKey(old, refs, now))...)
}

func apiKey(key *v1alpha1.ApiKey, refs References, now time.Time) field.ErrorList {
	path := field.NewPath("spec")
	errs := apiKeyShape(path, &key.Spec)
	if key.Spec.State == v1alpha1.KeyRevoked {
		return errs // it can do nothing, so nothing bounds it
	}
	account := refs.ServiceAccount
	if account != nil && account.Spec.WorkspaceRef != key.Spec.WorkspaceRef {
		errs = append(errs, field.Invalid(path.Child("serviceAccountRef", "name"), account.Name, fmt.Sprintf(
			"belongs to Workspace %q, and the key to %q: name an account of the key's workspace",
			account.Spec.WorkspaceRef.Name, key.Spec.WorkspaceRef.Name)))
		account = nil
	}
	within := newBounds(refs.Workspace, account)
	errs = append(errs, within.check(path.Child("scopes"), key.Spec.Scopes)...)
	errs = append(errs, within.checkGrants(path.Child("grants"), key.Spec.Grants, account)...)
	errs = append(errs, lifetime(path, key, refs, now)...)
	errs = append(errs, rotatedInTime(path, &key.Spec, refs.Workspace)...)
	errs = append(errs, allowedWay(path, &key.Spec, refs.Workspace)...)
	return append(errs, TooManyKeys(key, refs, now)...)
}

// apiKeyTransition refuses to change what is part of the key or known to those who use it, and
// to bring a revoked key back.
func apiKeyTransition(old, spec *v1alpha1.ApiKeySpec) (errs field.ErrorList) {
	path := field.NewPath("spec")
	immutable := func(child *field.Path, before, after, detail string) {
		if before != after {
			errs = append(errs, field.Invalid(child, after, "cannot be changed"+detail+": create another ApiKey"))
		}
	}
	immutable(path.Child("workspaceRef", "name"), old.WorkspaceRef.Name, spec.WorkspaceRef.Name, "")
	immutable(path.Child("serviceAccountRef", "name"), nameOf(old.ServiceAccountRef), nameOf(spec.ServiceAccountRef), "")
	immutable(path.Child("environment"), environment(old), environment(spec), ", it is part of the key")
	immutable(path.Child("prefix"), old.Prefix, spec.Prefix, ", it is part of the key")
	errs = append(errs, deliveryTransition(path.Child("delivery"), &old.Delivery, &spec.Delivery, "create another ApiKey")...)
	if (old.Source == nil) != (spec.Source == nil) {
		errs = append(errs, field.Forbidden(path.Child("source"), "can be neither added nor removed: create another ApiKey"))
	}
	immutable(path.Child("entity"), personal(old.Entity), personal(spec.Entity), ", it says whose personal token the key is")
	if old.State == v1alpha1.KeyRevoked && spec.State != v1alpha1.KeyRevoked {
		errs = append(errs, field.Invalid(path.Child("state"), string(spec.State),
			"a revoked key stays revoked: create another ApiKey"))
	}
	return errs
}

func nameOf(ref *v1alpha1.LocalReference) string {
	if ref == nil {
		return ""
	}
	return ref.Name
}

// personal is the user whose personal token the key is; empty: it is none.
func personal(e *v1alpha1.Entity) string {
	if !isPersonal(e) {
		return ""
	}
	return string(e.ID)
}

func isPersonal(e *v1alpha1.Entity) bool { return e != nil && e.Kind == v1alpha1.EntityUser }

func environment(spec *v1alpha1.ApiKeySpec) string {
	if spec.Environment == "" {
		return string(v1alpha1.EnvironmentLive)
	}
	return string(spec.Environment)
}

func apiKeyShape(path *field.Path, spec *v1alpha1.ApiKeySpec) field.ErrorList {
	errs := reference(path.Child("workspaceRef"), spec.WorkspaceRef)
	if spec.ServiceAccountRef != nil {
		errs = append(errs, reference(path.Child("serviceAccountRef"), *spec.ServiceAccountRef)...)
	}
	errs = append(errs, displayName(path.Child("displayName"), spec.DisplayName)...)
	errs = append(errs, oneOf(path.Child("environment"), spec.Environment,
		v1alpha1.EnvironmentLive, v1alpha1.EnvironmentTest)...)
	errs = append(errs, oneOf(path.Child("state"), spec.State,
		v1alpha1.KeyActive, v1alpha1.KeyDisabled, v1alpha1.KeyRevoked)...)
	errs = append(errs, prefix(path.Child("prefix"), spec.Prefix)...)
	errs = append(errs, scopeList(path.Child("scopes"), spec.Scopes, maxScopes)...)
	errs = append(errs, grantList(path.Child("grants"), spec.Grants)...)
	errs = append(errs, entity(path.Child("entity"), spec.Entity)...)
	errs = append(errs, ttl(path.Child("ttl"), spec.TTL)...)
	errs = append(errs, stated(path.Child("expiresAt"), spec.ExpiresAt)...)
	if spec.ExpiresAt != nil && spec.TTL != nil {
		errs = append(errs, field.Invalid(path.Child("ttl"), readable(spec.TTL.Duration), "set expiresAt or ttl, not both"))
	}
	errs = append(errs, limitRefs(path.Child("limitRefs"), spec.LimitRefs)...)
	errs = append(errs, networks(path.Child("allowedCIDRs"), spec.AllowedCIDRs)...)
	errs = append(errs, metadata(path.Child("metadata"), spec.Metadata)...)
	errs = append(errs, rotation(path.Child("rotation"), spec)...)
	errs = append(errs, source(path.Child("source"), spec)...)
	return append(errs, delivery(path.Child("delivery"), &spec.Delivery)...)
}

func networks(path *field.Path, list []v1alpha1.CIDR) field.ErrorList {
	errs := atMost(path, len(list), maxCIDRs)
	errs = append(errs, noDuplicates(path, list)...)
	for i, cidr := range list {
		errs = append(errs, network(path.Index(i), cidr)...)
	}
	return errs
}

func metadata(path *field.Path, values map[string]v1alpha1.MetadataValue) field.ErrorList {
	errs := atMost(path, len(values), maxMetadata)
	for key, value := range values {
		if key == "" {
			errs = append(errs, field.Invalid(path, key, "a name must not be empty"))
		}
		errs = append(errs, noLonger(path, key, maxMetadataKey)...)
		errs = append(errs, noLonger(path.Key(key), string(value), maxMetadataValue)...)
	}
	return errs
}
