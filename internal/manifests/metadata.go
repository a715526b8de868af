package manifests

import (
	"crypto/sha256"

	"github.com/google/uuid"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// readMetadata reads the metadata and checks it as the API server does.
func (o *object) readMetadata() (errs field.ErrorList) {
	path := field.NewPath("metadata")
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(o.content, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "cannot be understood: names, labels and annotations are texts, so put numbers in quotes")}
	}
	if !found || meta == nil {
		return field.ErrorList{field.Required(path.Child("name"), "name the object")}
	}
	for _, name := range unknown {
		errs = append(errs, field.Forbidden(field.NewPath(name), "there is no such field: look for a misspelling or a wrong indentation"))
	}
	o.meta = *meta
	if o.meta.Namespace == "" {
		o.meta.Namespace = metav1.NamespaceDefault
	}
	if o.meta.Name == "" {
		return append(errs, field.Required(path.Child("name"), "name the object"))
	}
	if o.meta.DeletionTimestamp != nil {
		errs = append(errs, field.Forbidden(path.Child("deletionTimestamp"), "the object is being deleted where this was taken from: leave it out"))
	}
	if uid := string(o.meta.UID); uid != "" && (uuid.Validate(uid) != nil || len(uid) != len(uuid.Nil.String())) {
		errs = append(errs, field.Invalid(path.Child("uid"), uid, "must be a UUID as Kubernetes gives it: leave it out to have one derived from the name"))
	}
	for _, fault := range apivalidation.ValidateNamespaceName(o.meta.Namespace, false) {
		errs = append(errs, field.Invalid(path.Child("namespace"), o.meta.Namespace, fault))
	}
	return append(errs, apivalidation.ValidateObjectMeta(&o.meta, true, apivalidation.NameIsDNSSubdomain, path)...)
}

// derivedUID is the UID of an object that states none: a UUID of version 8 (RFC 9562) out of its
// kind and name, so that it is the same wherever and whenever the manifest is read.
func derivedUID(kind string, name types.NamespacedName) types.UID {
	sum := sha256.Sum256([]byte(kind + "/" + name.String()))
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return types.UID(id.String())
}
