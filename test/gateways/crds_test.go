package gateways

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/internal/crdschema"
)

// Where projects keep their CRDs: in their Go modules.
var (
	gatewayAPI   = crdSource{"sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard/*.yaml"}
	envoyGateway = crdSource{"github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-crds-helm/templates/generated/*.yaml"}
	istio        = crdSource{"istio.io/api@v1.31.1", "kubernetes/customresourcedefinitions.gen.yaml"}
	traefik      = crdSource{"github.com/traefik/traefik/v3@v3.6.12", "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"}
)

func TestEnvoyGatewayUnderstandsItsGuide(t *testing.T) {
	t.Parallel()
	admitAll(t, block(t, "envoy-gateway.md", "envoy-gateway"), gatewayAPI, envoyGateway)
}

func TestTraefikUnderstandsItsKindsInTheGuide(t *testing.T) {
	t.Parallel()
	admitAll(t, block(t, "traefik.md", "kubernetes"), traefik)
}

func TestIstioUnderstandsItsGuide(t *testing.T) {
	t.Parallel()
	text := block(t, "istio.md", "istio")
	admitAll(t, text, istio)
	for _, patch := range regexp.MustCompile(`(?s)context_extensions: (\{[^}]*\})`).FindAllStringSubmatch(text, -1) {
		readProto(t, "check_settings: {context_extensions: "+patch[1]+"}", &extauthzv3.ExtAuthzPerRoute{})
	}
}

// Its configuration of the mesh is no kind of Kubernetes, but a message.
func TestIstioUnderstandsItsMeshConfiguration(t *testing.T) {
	var mesh meshv1alpha1.MeshConfig
	readProto(t, block(t, "istio.md", "mesh"), &mesh)
	provider := mesh.ExtensionProviders[0].GetEnvoyExtAuthzGrpc()
	if provider == nil || provider.FailOpen || provider.StatusOnError != "503" {
		t.Errorf("while the verifier is away it would do otherwise than the guide says: %v", provider)
	}
}

// crdSource is a Go module, and where in it CRDs are.
type crdSource struct{ module, files string }

// admitAll judges each object of a text as an API server with these CRDs would.
func admitAll(t *testing.T, text string, sources ...crdSource) {
	t.Helper()
	schemas := map[string]*apiextensionsv1.JSONSchemaProps{}
	for _, source := range sources {
		source.read(t, schemas)
	}
	for _, document := range strings.Split(text, "\n---\n") {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := kubejson.Unmarshal(text, &object); err != nil { // whole numbers stay whole
			t.Fatal(err)
		}
		kind := object["apiVersion"].(string) + " " + object["kind"].(string)
		openAPI := schemas[kind]
		if openAPI == nil {
			t.Errorf("there is no CRD for %s", kind)
			continue
		}
		schema, err := crdschema.Compile(openAPI)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if errs := schema.Admit(t.Context(), object); len(errs) > 0 {
			t.Errorf("%s: %v", kind, errs.ToAggregate())
		}
	}
}

// directives are those of Helm, on lines of their own.
var directives = regexp.MustCompile(`(?m)^\s*\{\{.*\}\}\s*$`)

func (s crdSource) read(t *testing.T, schemas map[string]*apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir(t), s.files))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no %s (%v)", s.module, s.files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(directives.ReplaceAllString(string(content), ""), "\n---\n") {
			var definition apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal([]byte(document), &definition); err != nil || definition.Kind != "CustomResourceDefinition" {
				continue // a comment, or another kind
			}
			for _, version := range definition.Spec.Versions {
				schemas[definition.Spec.Group+"/"+version.Name+" "+definition.Spec.Names.Kind] = version.Schema.OpenAPIV3Schema
			}
		}
	}
}

// dir has Go download the module, checked against Go's checksum database: it is not one that
// anything here is compiled with.
func (s crdSource) dir(t *testing.T) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", "-json", s.module)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "GOFLAGS=")
	out, err := command.Output()
	var module struct{ Dir, Error string }
	if err != nil || json.Unmarshal(out, &module) != nil || module.Dir == "" {
		t.Skipf("the CRDs that are in the Go module %s cannot be had here: %v %s", s.module, err, module.Error)
	}
	return module.Dir
}
