package analytics

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// Every answer, and every refusal, is as the document has it.
func TestAnswersAreAsTheDocumentHasThem(t *testing.T) {
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
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	f := used(t)
	for _, headers := range [][]string{
		{"X-API-Key", f.reader, "X-Workspace-Id", shop}, {"X-API-Key", f.key, "X-Workspace-Id", shop}, {"X-API-Key", "nonsense", "X-Workspace-Id", shop},
		{"X-API-Key", f.reader}, {"X-API-Key", f.otherReader, "X-Workspace-Id", other},
	} {
		for _, target := range everyRoute() {
			if strings.HasSuffix(target, "/export") {
				continue // whose rows are no JSON
			}
			request := httptest.NewRequest(http.MethodGet, target, nil)
			for i := 0; i+1 < len(headers); i += 2 {
				request.Header.Set(headers[i], headers[i+1])
			}
			route, parameters, err := router.FindRoute(request)
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			w := httptest.NewRecorder()
			f.ServeHTTP(w, request)
			err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: route, PathParams: parameters},
				Status:                 w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())),
			})
			if err != nil {
				t.Errorf("%s: %d %s: %v", target, w.Code, w.Body, err)
			}
		}
	}
}
