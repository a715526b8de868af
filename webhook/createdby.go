package webhook

import (
	"context"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// createdByPath is where the API server asks createdBy.
const createdByPath = "/mutate-keys-claviger-dev-v1alpha1-apikey"

// createdBy notes in an annotation who creates an ApiKey, whatever was sent, and puts it back where a change
// left it out, as kubectl replace does. It takes the object for no more than JSON: to encode what was decoded as an
// ApiKey would rewrite what people applied, 720h to 720h0m0s for one.
type createdBy struct{}

func (createdBy) Handle(_ context.Context, request admission.Request) admission.Response {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(request.Object.Raw); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("the object cannot be read: %w", err))
	}
	annotations := object.GetAnnotations()
	creator := request.UserInfo.Username
	if request.Operation == admissionv1.Update {
		var old unstructured.Unstructured
		if err := old.UnmarshalJSON(request.OldObject.Raw); err != nil {
			return admission.Errored(http.StatusBadRequest, fmt.Errorf("the object as it was cannot be read: %w", err))
		}
		was, had := old.GetAnnotations()[v1alpha1.AnnotationCreatedBy]
		if _, has := annotations[v1alpha1.AnnotationCreatedBy]; has || !had {
			return admission.Allowed("") // another value is for the validating webhook to refuse
		}
		creator = was
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationCreatedBy] = creator
	object.SetAnnotations(annotations)
	noted, err := object.MarshalJSON()
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, noted)
}

// trulyCreatedBy refuses a new key that names another creator, which nobody can make the mutating webhook
// let through, but who may change that webhook's configuration.
func trulyCreatedBy(ctx context.Context, key client.Object) (field.ErrorList, error) {
	said, ok := key.GetAnnotations()[v1alpha1.AnnotationCreatedBy]
	if !ok {
		return nil, nil
	}
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	if said == request.UserInfo.Username {
		return nil, nil
	}
	return field.ErrorList{field.Forbidden(createdByField(), fmt.Sprintf(
		"admission writes this, and you are %q: leave it out", request.UserInfo.Username))}, nil
}

// sameCreator refuses to change who created a key, or to say so afterwards.
func sameCreator(old, key client.Object) field.ErrorList {
	was, before := old.GetAnnotations()[v1alpha1.AnnotationCreatedBy]
	is, after := key.GetAnnotations()[v1alpha1.AnnotationCreatedBy]
	if was == is && before == after {
		return nil
	}
	return field.ErrorList{field.Forbidden(createdByField(), "admission wrote who created the key, and nobody changes it: leave it as it was")}
}

func createdByField() *field.Path {
	return field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationCreatedBy)
}
