package cel

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/validation"
)

// unset are the values by which Go knows that nothing was set: only a schema can refuse them.
var unset = map[string]any{
	"spec.delivery.secretName":       "",
	"spec.token.delivery.secretName": "",
	"spec.source.secretRef.key":      "",
	"spec.entity.department":         "",
	"spec.maxActiveKeys":             int64(0),
}

// requireAlsoInvalid asks internal/validation, which has to refuse whatever the schema does:
// there may be no API server in between.
func requireAlsoInvalid(t *testing.T, object *unstructured.Unstructured, path string, value any) {
	t.Helper()
	if zero, ok := unset[path]; ok && zero == value {
		return
	}
	if errs, err := validate(object); err == nil && len(errs) == 0 {
		t.Errorf("internal/validation lets %s = %v pass", path, value)
	}
}

func requireAlsoValid(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if errs, err := validate(object); err != nil || len(errs) > 0 {
		t.Errorf("internal/validation refuses what the schema allows: %v%v", err, errs)
	}
}

// validate decodes and validates; an error says that it could not even be decoded.
func validate(object *unstructured.Unstructured) (field.ErrorList, error) {
	decode := func(into any) error {
		return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into)
	}
	switch object.GetKind() {
	case "ApiKey":
		var key v1alpha1.ApiKey
		err := decode(&key)
		return validation.ApiKey(&key, validation.References{}, time.Now()), err
	case "Workspace":
		var workspace v1alpha1.Workspace
		err := decode(&workspace)
		return validation.Workspace(&workspace), err
	case "ServiceAccount":
		var account v1alpha1.ServiceAccount
		err := decode(&account)
		return validation.ServiceAccount(&account, nil), err
	default:
		var limit v1alpha1.KeyLimit
		err := decode(&limit)
		return validation.KeyLimit(&limit), err
	}
}
