// Package crdschema asks of an object what an API server asks of it by its CRD: known fields,
// types and bounds, lists without duplicates, and CEL rules. It fills in the defaults on the way.
//
// It is made of the API server's own packages, in the order in which that uses them, so that a
// manifest is judged alike with a cluster and without one.
package crdschema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/config/crd"
)

// Schema is that of one kind. Its methods may be called from any goroutine.
type Schema struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// Load returns the schemas of all kinds of the CRDs in config/crd, by kind. They are compiled
// once, which takes some tens of milliseconds.
var Load = sync.OnceValues(func() (map[string]*Schema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	schemas := map[string]*Schema{}
	for _, name := range files {
		text, err := crd.Bases.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if schemas[definition.Spec.Names.Kind], err = compile(&definition); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return schemas, nil
})

func compile(definition *apiextensionsv1.CustomResourceDefinition) (*Schema, error) {
	if len(definition.Spec.Versions) != 1 {
		return nil, errors.New("has more than one version, and which of them is meant is not decided here")
	}
	return Compile(definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
}

// Compile makes a schema of what a version of a CRD has as its openAPIV3Schema.
func Compile(openAPI *apiextensionsv1.JSONSchemaProps) (*Schema, error) {
	var props apiextensions.JSONSchemaProps
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(openAPI, &props, nil)
	if err != nil {
		return nil, err
	}
	s := &Schema{}
	if s.structural, err = schema.NewStructural(&props); err != nil {
		return nil, err
	}
	if err := defaulting.PruneDefaults(s.structural); err != nil {
		return nil, err
	}
	if s.validator, _, err = validation.NewSchemaValidator(&props); err != nil {
		return nil, err
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
}

// Admit fills in the defaults of an object, as JSON is decoded, and says what is wrong with it.
// Rules about a change are not asked: there is no object of before. The metadata is not looked at.
func (s *Schema) Admit(ctx context.Context, object map[string]any) (errs field.ErrorList) {
	unknown := pruning.PruneWithOptions(object, s.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		errs = append(errs, field.Forbidden(field.NewPath(path), "there is no such field: look for a misspelling or a wrong indentation"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	errs = append(errs, validation.ValidateCustomResource(nil, object, s.validator)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(errs) > 0 || s.rules == nil {
		return errs // rules may rely on the shape
	}
	errs, _ = s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return errs
}
