package validation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/sealing"
)

// The bounds of a delivery. The CRDs' schemas state the same.
const (
	maxRecipients      = 16
	maxSecretLabels    = 32
	maxAnnotationValue = 4096
)

const ownDomain = "keys.claviger.dev/"

func delivery(path *field.Path, d *v1alpha1.Delivery) field.ErrorList {
	errs := oneOf(path.Child("type"), d.Type, v1alpha1.DeliverySecret, v1alpha1.DeliverySealed)
	errs = append(errs, sealed(path, d)...)
	if d.SecretName != "" {
		errs = append(errs, objectName(path.Child("secretName"), d.SecretName)...)
	}
	if strings.HasPrefix(d.SecretName, v1alpha1.StagedPrefix) {
		errs = append(errs, field.Invalid(path.Child("secretName"), d.SecretName,
			"names that begin with "+v1alpha1.StagedPrefix+" are kept for keys that wait to be delivered: choose another name"))
	}
	errs = append(errs, oneOf(path.Child("deletionPolicy"), d.DeletionPolicy,
		v1alpha1.DeletionDelete, v1alpha1.DeletionRetain)...)
	errs = append(errs, oneOf(path.Child("existing"), d.Existing, v1alpha1.ExistingRefuse, v1alpha1.ExistingAdopt)...)
	errs = append(errs, oneOf(path.Child("onLoss"), d.OnLoss, v1alpha1.OnLossRotate, v1alpha1.OnLossFail)...)

	labels, annotations := path.Child("labels"), path.Child("annotations")
	errs = append(errs, metavalidation.ValidateLabels(plain(d.Labels), labels)...)
	errs = append(errs, apivalidation.ValidateAnnotations(plain(d.Annotations), annotations)...)
	for key, value := range d.Annotations {
		errs = append(errs, noLonger(annotations.Key(key), string(value), maxAnnotationValue)...)
	}
	return append(append(errs, notOwn(labels, d.Labels)...), notOwn(annotations, d.Annotations)...)
}

// sealed checks that a key that is sealed has recipients, and nothing that only a Secret has.
func sealed(path *field.Path, d *v1alpha1.Delivery) (errs field.ErrorList) {
	if d.Type != v1alpha1.DeliverySealed {
		if len(d.Recipients) > 0 {
			errs = append(errs, field.Forbidden(path.Child("recipients"), "a key in a Secret has none: set type Sealed, or remove them"))
		}
		return errs
	}
	for name, set := range map[string]bool{
		"secretName":  d.SecretName != "",
		"labels":      len(d.Labels) > 0,
		"annotations": len(d.Annotations) > 0,
		"existing":    d.Existing == v1alpha1.ExistingAdopt,
	} {
		if set {
			errs = append(errs, field.Forbidden(path.Child(name), "a sealed key is in no Secret: remove this, or set type Secret"))
		}
	}
	return append(errs, recipients(path.Child("recipients"), d.Recipients)...)
}

// recipients must really be such: what cannot be sealed to would be found out only after a key was asked for.
func recipients(path *field.Path, list []v1alpha1.Recipient) field.ErrorList {
	if len(list) == 0 {
		return field.ErrorList{field.Required(path, "name the age public keys, age1..., that the key is sealed to")}
	}
	errs := atMost(path, len(list), maxRecipients)
	errs = append(errs, noDuplicates(path, list)...)
	if len(errs) > 0 {
		return errs // and do not parse them all
	}
	_, err := sealing.ParseRecipients(strs(list))
	var fault sealing.RecipientError
	switch {
	case errors.As(err, &fault):
		// Not what it says: it may be an identity.
		errs = append(errs, field.Invalid(path.Index(fault.Index), field.OmitValueType{}, fault.Fault))
	case err != nil:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, err.Error()))
	}
	return errs
}

// deliveryTransition refuses to change where those who use a key look for it. The remedy is what to do
// instead.
func deliveryTransition(path *field.Path, old, d *v1alpha1.Delivery, remedy string) (errs field.ErrorList) {
	if before, after := deliveryType(old), deliveryType(d); before != after {
		errs = append(errs, field.Invalid(path.Child("type"), string(after), "cannot be changed: "+remedy))
	}
	if old.SecretName != d.SecretName {
		errs = append(errs, field.Invalid(path.Child("secretName"), d.SecretName,
			"cannot be changed, those who use the key know it by this name: "+remedy))
	}
	return errs
}

func deliveryType(d *v1alpha1.Delivery) v1alpha1.DeliveryType {
	if d.Type == "" {
		return v1alpha1.DeliverySecret
	}
	return d.Type
}

// allowedWay checks that the workspace allows the way that a key goes to its users.
func allowedWay(path *field.Path, spec *v1alpha1.ApiKeySpec, workspace *v1alpha1.Workspace) field.ErrorList {
	if spec.Source != nil {
		return allowed(path.Child("source"), v1alpha1.AllowSource, workspace)
	}
	return allowed(path.Child("delivery", "type"), v1alpha1.AllowedDelivery(deliveryType(&spec.Delivery)), workspace)
}

func allowed(path *field.Path, way v1alpha1.AllowedDelivery, workspace *v1alpha1.Workspace) field.ErrorList {
	if workspace == nil {
		return nil
	}
	ways := workspace.Spec.Keys.AllowedDelivery
	if len(ways) == 0 || slices.Contains(ways, way) {
		return nil
	}
	return field.ErrorList{field.Forbidden(path, fmt.Sprintf(
		"Workspace %q allows %s, and this is %s: choose another way, or add it to its spec.keys.allowedDelivery",
		workspace.Name, some(strs(ways)), way))}
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
