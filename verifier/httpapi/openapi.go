package httpapi

import (
	_ "embed" // the document
	"net/http"
	"sync"

	"sigs.k8s.io/yaml"
)

// openapiYAML describes all doors, by OpenAPI 3.1. Tests hold them and it to each other.
//
//go:embed openapi.yaml
var openapiYAML []byte

// openapiJSON is made when it is first asked for: most verifiers never are.
var openapiJSON = sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(openapiYAML) })

// openapi serves the document, for programs.
func (*handler) openapi(x *exchange) {
	document, err := openapiJSON()
	if err != nil {
		panic("openapi.yaml is no YAML")
	}
	x.status, x.contentType = http.StatusOK, typeJSON
	x.out = append(x.out[:0], document...)
}

// docs serves it for people.
func (*handler) docs(x *exchange) {
	page, err := docsPage()
	if err != nil {
		panic("the documentation cannot be rendered")
	}
	x.header.add("Content-Security-Policy", page.policy)
	x.header.add("X-Content-Type-Options", "nosniff")
	x.header.add("Referrer-Policy", "no-referrer")
	x.status, x.contentType = http.StatusOK, "text/html; charset=utf-8"
	x.out = append(x.out[:0], page.html...)
}
