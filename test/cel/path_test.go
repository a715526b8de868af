package cel

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A path reads a.b.0.c: 0 is the first item of a list, and * the only value of a map. The
// empty path is the object itself.

// lookup finds what stands at a path.
func lookup(object *unstructured.Unstructured, path string) (any, bool) {
	var at any = object.Object
	for _, step := range steps(path) {
		switch in := at.(type) {
		case []any:
			at = in[0]
		case map[string]any:
			value, found := in[name(in, step)]
			if !found {
				return nil, false
			}
			at = value
		}
	}
	return at, true
}

// with is a copy of an object in which something else stands at a path, or nothing where value is
// nil.
func with(object *unstructured.Unstructured, path string, value any) *unstructured.Unstructured {
	changed := object.DeepCopy()
	all := steps(path)
	if len(all) == 0 {
		changed.Object = value.(map[string]any)
		return changed
	}
	last := len(all) - 1
	parent, _ := lookup(changed, strings.Join(all[:last], "."))
	switch in := parent.(type) {
	case []any:
		in[0] = value
	case map[string]any:
		if value == nil {
			delete(in, name(in, all[last]))
			return changed
		}
		in[name(in, all[last])] = value
	}
	return changed
}

func steps(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

func name(in map[string]any, step string) string {
	if step == "*" {
		return slices.Collect(maps.Keys(in))[0]
	}
	return step
}
