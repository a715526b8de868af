package webhook

import (
	"net/http"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func TestThePatchIsNothingButTheCreator(t *testing.T) {
	const (
		plain = `{"kind":"ApiKey","apiVersion":"keys.claviger.dev/v1alpha1","metadata":{"name":"k"},"spec":{"ttl":"720h","limitRefs":[]}}`
		noted = `{"kind":"ApiKey","apiVersion":"keys.claviger.dev/v1alpha1","metadata":{"annotations":{"keys.claviger.dev/created-by":"john"}},"spec":{}}`
		null  = `{"kind":"ApiKey","apiVersion":"keys.claviger.dev/v1alpha1","metadata":{"annotations":null},"spec":{}}`
	)
	for _, c := range []struct {
		name        string
		operation   admissionv1.Operation
		object, old string
		path, value string // empty: none
	}{
		{"a new key", admissionv1.Create, plain, "", "/metadata/annotations", "jane"},
		{"a new key with no annotations", admissionv1.Create, null, "", "/metadata/annotations", "jane"},
		{"a new key in another's name", admissionv1.Create, noted, "", "/metadata/annotations/keys.claviger.dev~1created-by", "jane"},
		{"a change that leaves it out", admissionv1.Update, plain, noted, "/metadata/annotations", "john"},
		{"a change that keeps it", admissionv1.Update, noted, noted, "", ""},
		{"a change of what never had it", admissionv1.Update, plain, plain, "", ""},
		{"a change that adds it is not for this one", admissionv1.Update, noted, plain, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var request admission.Request
			request.Operation, request.UserInfo.Username = c.operation, "jane"
			request.Object, request.OldObject = runtime.RawExtension{Raw: []byte(c.object)}, runtime.RawExtension{Raw: []byte(c.old)}
			response := createdBy{}.Handle(t.Context(), request)
			if !response.Allowed {
				t.Fatalf("refused: %v", response.Result)
			}
			if c.path == "" {
				if len(response.Patches) > 0 {
					t.Errorf("patched %v", response.Patches)
				}
				return
			}
			if len(response.Patches) != 1 || response.Patches[0].Path != c.path {
				t.Fatalf("patched %v, want %s alone", response.Patches, c.path)
			}
			value := response.Patches[0].Value
			if all, ok := value.(map[string]any); ok && len(all) == 1 {
				value = all["keys.claviger.dev/created-by"]
			}
			if value != c.value {
				t.Errorf("noted %v, want %s", value, c.value)
			}
		})
	}
}

func TestWhatCannotBeReadIsNotNoted(t *testing.T) {
	var request admission.Request
	request.Operation, request.Object.Raw = admissionv1.Create, []byte("{")
	if response := (createdBy{}).Handle(t.Context(), request); response.Allowed || response.Result.Code != http.StatusBadRequest {
		t.Errorf("got %v", response)
	}
}
