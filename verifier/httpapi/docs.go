package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"sync"
)

// The page is rendered here rather than by a viewer in the browser: those are a megabyte or more of
// somebody else's script, to be kept up to date in a program that sees every key, and want a
// laxer Content-Security-Policy than none at all.
//
//go:embed docs.html.tmpl
var docsTemplate string

type docPage struct {
	html   []byte
	policy string // its Content-Security-Policy
}

var docsPage = sync.OnceValues(renderDocs)

func renderDocs() (*docPage, error) {
	document, err := openapiJSON()
	if err != nil {
		return nil, err
	}
	var d docDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	page, err := template.New("docs").Funcs(template.FuncMap{
		"doors": d.doors, "resolve": d.resolve, "rows": rows, "kind": kind, "anchor": anchor, "indent": indent,
	}).Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	if err := page.Execute(&html, &d); err != nil {
		return nil, err
	}
	return &docPage{html: html.Bytes(), policy: policyFor(html.String())}, nil
}

// policyFor allows nothing but the one style sheet that is in the page.
func policyFor(html string) string {
	_, style, _ := strings.Cut(html, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// What is shown of an OpenAPI document.
type docDocument struct {
	Info struct{ Title, Summary, Description string }
	Tags []struct{ Name, Description string }

	Paths      map[string]map[string]docOperation
	Components struct {
		Parameters map[string]docParameter
		Responses  map[string]docResponse
		Schemas    map[string]docSchema
	}
}

type docOperation struct {
	Path, Method         string `json:"-"`
	Summary, Description string
	Tags                 []string
	Parameters           []docParameter
	RequestBody          *struct{ Content map[string]docContent }
	Responses            map[string]docResponse
}

type docParameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Schema                docSchema
}

type docResponse struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]docContent
}

type docContent struct {
	Schema  docSchema
	Example any
}

type docSchema struct {
	Ref         string `json:"$ref"`
	Type        any
	Description string
	Enum        []string
	Required    []string
	Properties  map[string]docSchema
	Items       *docSchema
	OneOf       []docSchema
}

// doors are the operations of a tag, in the order of their paths.
func (d *docDocument) doors(tag string) (found []docOperation) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			operation := d.Paths[path][method]
			if slices.Contains(operation.Tags, tag) {
				operation.Path, operation.Method = path, strings.ToUpper(method)
				found = append(found, operation)
			}
		}
	}
	return found
}

// resolve follows a reference, if it is one.
func (d *docDocument) resolve(part any) any {
	switch p := part.(type) {
	case docParameter:
		if p.Ref != "" {
			return d.Components.Parameters[anchor(p.Ref)]
		}
	case docResponse:
		if p.Ref != "" {
			return d.Components.Responses[anchor(p.Ref)]
		}
	}
	return part
}

// anchor is the name at the end of a reference, and of what is referred to.
func anchor(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

type docRow struct {
	Name     string
	Required bool
	Schema   docSchema
}

// rows are the properties of a schema, and those of objects in it under their path.
func rows(s docSchema) (list []docRow) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		list = append(list, docRow{name, slices.Contains(s.Required, name), property})
		inner := property
		if property.Items != nil {
			inner = *property.Items
		}
		for _, row := range rows(inner) {
			row.Name = name + "." + row.Name
			list = append(list, row)
		}
	}
	if s.Items != nil && len(s.Properties) == 0 {
		list = append(list, rows(*s.Items)...)
	}
	return list
}

// kind says in a word what a value is. null, which means nothing everywhere, is not told.
func kind(s docSchema) string {
	name := fmt.Sprint(s.Type)
	if types, ok := s.Type.([]any); ok {
		name = fmt.Sprint(types[0])
	}
	switch {
	case s.Ref != "":
		return anchor(s.Ref)
	case s.Items != nil:
		return "list of " + kind(*s.Items)
	case len(s.Enum) > 0:
		return strings.Join(slices.DeleteFunc(slices.Clone(s.Enum), func(name string) bool { return name == "" }), " | ")
	case s.Type == nil:
		return "string"
	}
	return name
}

func indent(value any) (string, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}
