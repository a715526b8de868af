package cel

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// A bound is one constraint of a schema, and what is just beyond it. Some have a value that
// just keeps to it, too.
type bound struct {
	name           string
	beyond, within any // nil within: not tried
	want           string
}

// Every bound in every schema: a new field's is tested without a word here.
func TestSchemaBounds(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			for _, file := range append([]string{kind}, variants[kind]...) {
				if err := tryCreate(full(t, file)); err != nil {
					t.Fatalf("testdata/%s.yaml is not valid: %v", file, err)
				}
				requireAlsoValid(t, full(t, file))
			}
			walk(t, schema(t, kind), "", func(t *testing.T, s apiextensionsv1.JSONSchemaProps, path string) {
				base := setting(t, kind, path)
				value, _ := lookup(base, path)
				for _, b := range bounds(s, value) {
					t.Run(b.name, func(t *testing.T) {
						object := with(base, path, b.beyond)
						requireRefused(t, object, b.want)
						requireAlsoInvalid(t, object, path, b.beyond)
						if b.within == nil {
							return
						}
						object = with(base, path, b.within)
						if err := tryCreate(object); err != nil {
							t.Errorf("just within the bound, and refused: %v", err)
						}
					})
				}
			})
		})
	}
}

func requireRefused(t *testing.T, object *unstructured.Unstructured, want string) {
	t.Helper()
	err := tryCreate(object)
	for _, cause := range causes(t, err) {
		if strings.Contains(cause.Message, want) {
			return
		}
	}
	t.Errorf("refused without saying %q: %v", want, err)
}

func bounds(s apiextensionsv1.JSONSchemaProps, value any) (found []bound) {
	add := func(b bound) { found = append(found, b) }
	text := func(n int64) string { return strings.Repeat("a", int(n)) }
	// A text with a form of its own cannot be of any length.
	free := s.Pattern == "" && len(s.XValidations) == 0
	if n := s.MaxLength; n != nil {
		b := bound{name: "maxLength", beyond: text(*n + 1), want: fmt.Sprintf("may not be more than %d", *n)}
		if free {
			b.within = text(*n)
		}
		add(b)
	}
	if s.MinLength != nil {
		add(bound{name: "minLength", beyond: text(*s.MinLength - 1), want: fmt.Sprintf("should be at least %d chars long", *s.MinLength)})
	}
	if s.Pattern != "" {
		long := 1
		if s.MinLength != nil {
			long = int(*s.MinLength)
		}
		add(bound{name: "pattern", beyond: strings.Repeat(" ", long), want: "should match"})
	}
	if s.Enum != nil {
		add(bound{name: "enum", beyond: "Other", want: "supported values"})
	}
	if s.Format == "date-time" {
		add(bound{name: "format", beyond: "tomorrow", want: "date-time"})
	}
	if n := s.Minimum; n != nil {
		add(bound{"minimum", int64(*n) - 1, int64(*n), fmt.Sprintf("greater than or equal to %d", int64(*n))})
	}
	if n := s.Maximum; n != nil {
		add(bound{"maximum", int64(*n) + 1, int64(*n), fmt.Sprintf("less than or equal to %d", int64(*n))})
	}
	if n := s.MaxProperties; n != nil {
		add(bound{"maxProperties", properties(*n + 1), properties(*n), fmt.Sprintf("must have at most %d items", *n)})
	}
	if n := s.MaxItems; n != nil {
		add(bound{"maxItems", items(s, value, *n+1), items(s, value, *n), fmt.Sprintf("must have at most %d items", *n)})
	}
	if s.MinItems != nil {
		add(bound{name: "minItems", beyond: []any{}, want: "should have at least 1 items"})
	}
	if l := s.XListType; l != nil && *l != "atomic" {
		one := value.([]any)[0]
		add(bound{name: "no duplicates", beyond: []any{one, one}, want: "Duplicate value"})
	}
	for _, name := range s.Required {
		without := maps.Clone(value.(map[string]any))
		delete(without, name)
		add(bound{name: "required " + name, beyond: without, want: "Required value"})
	}
	return found
}

// items are n different ones like the first of a list, as far as there are as many.
func items(s apiextensionsv1.JSONSchemaProps, list any, n int64) (many []any) {
	choices := s.Items.Schema.Enum
	for i := range n {
		if len(choices) > 0 {
			many = append(many, strings.Trim(string(choices[i%int64(len(choices))].Raw), `"`))
			continue
		}
		switch one := list.([]any)[0].(type) {
		case map[string]any:
			one = maps.Clone(one)
			for _, key := range []string{"name", "resource", "id"} {
				if _, ok := one[key]; ok {
					one[key] = fmt.Sprintf("a%d", i)
				}
			}
			many = append(many, one)
		case string:
			if strings.Contains(one, "/") { // a network
				many = append(many, fmt.Sprintf("10.%d.0.0/16", i))
				continue
			}
			if _, err := time.ParseDuration(one); err == nil {
				many = append(many, fmt.Sprintf("%dh", i+1))
				continue
			}
			many = append(many, fmt.Sprintf("%s%d", one, i))
		}
	}
	return many
}

func properties(n int64) map[string]any {
	many := map[string]any{}
	for i := range n {
		many[fmt.Sprintf("name%d", i)] = "x"
	}
	return many
}

// schema is that of a kind's spec.
func schema(t *testing.T, kind string) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	var crd apiextensionsv1.CustomResourceDefinition
	readYAML(t, filepath.Join(controlplane.RepositoryRoot(), "config", "crd", "bases",
		"keys.claviger.dev_"+kind+"s.yaml"), &crd)
	root := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	// Metadata is Kubernetes' own, and nobody but Claviger writes the status.
	root.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": root.Properties["spec"]}
	return root
}

// walk visits a schema and all below it, each in a sub-test named by its path.
func walk(t *testing.T, s apiextensionsv1.JSONSchemaProps, path string,
	visit func(*testing.T, apiextensionsv1.JSONSchemaProps, string)) {
	name := path
	if name == "" {
		name = "object"
	}
	t.Run(name, func(t *testing.T) { visit(t, s, path) })
	for _, child := range slices.Sorted(maps.Keys(s.Properties)) {
		walk(t, s.Properties[child], strings.TrimPrefix(path+"."+child, "."), visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(t, *s.Items.Schema, path+".0", visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(t, *s.AdditionalProperties.Schema, path+".*", visit)
	}
}
