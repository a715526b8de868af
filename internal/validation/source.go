package validation

import (
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// What a source looks like. The CRD's schema states the same, but for nothingHashed.
const (
	maxHint = 64
	maxKey  = 253
	// nothingHashed is the SHA-256 of no bytes: what hashing a variable that is not set comes to.
	nothingHashed = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var (
	digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	hint   = regexp.MustCompile(`^[a-z][a-z0-9]{0,15}_(live|test)_…[0-9A-Za-z]{4}$`)
)

func source(path *field.Path, spec *v1alpha1.ApiKeySpec) (errs field.ErrorList) {
	s := spec.Source
	if s == nil {
		return nil
	}
	if (s.SecretRef != nil) == (s.SHA256 != "") {
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "set secretRef or sha256, one of them"))
	}
	if s.SecretRef != nil {
		errs = append(errs, secretKey(path.Child("secretRef"), s.SecretRef)...)
	}
	if s.SHA256 != "" {
		errs = append(errs, sha256(path.Child("sha256"), s.SHA256)...)
	}
	if s.Hint != "" {
		errs = append(errs, recognisable(path, s)...)
	}
	if spec.Delivery.Type == v1alpha1.DeliverySealed {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "delivery", "type"), "a key that is brought along is not delivered: remove it"))
	}
	return errs
}

func secretKey(path *field.Path, ref *v1alpha1.SecretKeyReference) field.ErrorList {
	errs := reference(path, v1alpha1.LocalReference{Name: ref.Name})
	if ref.Key == "" {
		return errs // the default
	}
	for _, fault := range validation.IsConfigMapKey(ref.Key) {
		errs = append(errs, field.Invalid(path.Child("key"), ref.Key, fault))
	}
	return append(errs, noLonger(path.Child("key"), ref.Key, maxKey)...)
}

// sha256 does not repeat a text that is none: it may be the key itself.
func sha256(path *field.Path, text string) field.ErrorList {
	switch {
	case !digest.MatchString(text):
		return field.ErrorList{field.Invalid(path, field.OmitValueType{},
			"must be 64 small hexadecimal digits, as printf %s \"$KEY\" | sha256sum prints them")}
	case text == nothingHashed:
		return field.ErrorList{field.Invalid(path, field.OmitValueType{},
			"is the hash of nothing, so the key was empty when it was hashed: hash the key itself")}
	}
	return nil
}

func recognisable(path *field.Path, s *v1alpha1.Source) (errs field.ErrorList) {
	if s.SHA256 == "" {
		errs = append(errs, field.Forbidden(path.Child("hint"), "goes with sha256: of a key in a Secret it is known"))
	}
	if !hint.MatchString(s.Hint) {
		// It may be the key itself.
		errs = append(errs, field.Invalid(path.Child("hint"), field.OmitValueType{},
			"must be the beginning and the last four characters of the key, such as ak_live_…x7Qz; leave it out where the key looks otherwise"))
	}
	return append(errs, noLonger(path.Child("hint"), s.Hint, maxHint)...)
}
