package validation

import (
	"fmt"
	"strings"
	"time"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The bounds of an ApiKey. The CRD's schema states the same, but for the length of a
// metadata key.
const (
	maxCIDRs           = 64
	maxMetadata        = 32
	maxMetadataKey     = 128
	maxMetadataValue   = 512
	maxSecretLabels    = 32
	maxAnnotationValue = 4096
)

const ownDomain = "keys.claviger.dev/"

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
	immutable(path.Child("delivery", "secretName"), old.Delivery.SecretName, spec.Delivery.SecretName,
		", those who use the key know it by this name")
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

func delivery(path *field.Path, d *v1alpha1.Delivery) field.ErrorList {
	var errs field.ErrorList
	if d.SecretName != "" {
		errs = objectName(path.Child("secretName"), d.SecretName)
	}
	errs = append(errs, oneOf(path.Child("deletionPolicy"), d.DeletionPolicy,
		v1alpha1.DeletionDelete, v1alpha1.DeletionRetain)...)
	errs = append(errs, oneOf(path.Child("onLoss"), d.OnLoss, v1alpha1.OnLossRotate, v1alpha1.OnLossFail)...)

	labels, annotations := path.Child("labels"), path.Child("annotations")
	errs = append(errs, metavalidation.ValidateLabels(plain(d.Labels), labels)...)
	errs = append(errs, apivalidation.ValidateAnnotations(plain(d.Annotations), annotations)...)
	for key, value := range d.Annotations {
		errs = append(errs, noLonger(annotations.Key(key), string(value), maxAnnotationValue)...)
	}
	return append(append(errs, notOwn(labels, d.Labels)...), notOwn(annotations, d.Annotations)...)
}

// notOwn keeps what Claviger itself relies on out of the labels and annotations to choose.
func notOwn[T any](path *field.Path, chosen map[string]T) field.ErrorList {
	errs := atMost(path, len(chosen), maxSecretLabels)
	for key := range chosen {
		if strings.HasPrefix(key, ownDomain) {
			errs = append(errs, field.Invalid(path, key, "what is under keys.claviger.dev/ is Claviger's own: choose another name"))
		}
	}
	return errs
}

func plain[T ~string](m map[string]T) map[string]string {
	out := make(map[string]string, len(m))
	for key, value := range m {
		out[key] = string(value)
	}
	return out
}
