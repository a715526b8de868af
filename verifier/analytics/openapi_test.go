package analytics_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/analytics"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// The document that the doors serve has every route, with all parameters that it takes and no other.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	v, err := verifier.New(verifier.Options{Index: indextest.New()})
	if err != nil {
		t.Fatal(err)
	}
	doors, err := httpapi.NewHandler(v, httpapi.Options{Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	doors.ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	document, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	paths := analytics.Paths()
	for path, accepted := range paths {
		item := document.Paths.Value(path)
		if item == nil || item.Get == nil {
			t.Errorf("%s is not in openapi.yaml", path)
			continue
		}
		var described []string
		for _, p := range item.Get.Parameters {
			if p.Value.In == "query" {
				described = append(described, p.Value.Name)
			}
		}
		accepted = slices.Clone(accepted)
		slices.Sort(described)
		slices.Sort(accepted)
		if !slices.Equal(described, accepted) {
			t.Errorf("%s takes %v, and openapi.yaml has %v", path, accepted, described)
		}
	}
	for path := range document.Paths.Map() {
		if _, ok := paths[path]; !ok && (strings.HasPrefix(path, analytics.KeysPath) || strings.HasPrefix(path, analytics.WorkspacePath)) {
			t.Errorf("%s is in openapi.yaml and not answered", path)
		}
	}
}
