package manifests

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/crdschema"
	"github.com/claviger-dev/claviger/internal/token"
)

// maxObjects bounds how many there may be, of all kinds.
const maxObjects = 100_000

// object is one of those in a document.
type object struct {
	origin
	content map[string]any
	meta    metav1.ObjectMeta
	faults  field.ErrorList // of a Secret's metadata, which matter if it holds a key
}

func (o *object) name() types.NamespacedName {
	return types.NamespacedName{Namespace: o.meta.Namespace, Name: o.meta.Name}
}

// loader makes a state of what was read. It goes on after a mistake, so that all are told at
// once, up to the maximum.
type loader struct {
	schemas  map[string]*crdschema.Schema
	now      time.Time
	state    *state
	mistakes Mistakes
	warnings []string
	ignored  map[string]int // by apiVersion and kind

	objects  int
	origins  map[string]*origin // of the four kinds, by kind, namespace and name
	uids     map[types.UID]*origin
	keys     []types.NamespacedName           // in the order of reading
	secrets  map[types.NamespacedName]*object // but for those with hashes alone
	hashes   map[token.Hash]*material
	material map[types.NamespacedName][]*material // by ApiKey
}

// result is what load found.
type result struct {
	state    *state // only to be believed where there are no mistakes
	mistakes Mistakes
	warnings []string
	ignored  map[string]int
}

func load(read content, now time.Time) (result, error) {
	schemas, err := crdschema.Load()
	if err != nil {
		return result{}, fmt.Errorf("the CRDs in this program are broken: %w", err)
	}
	l := loader{
		schemas: schemas, now: now, state: newState(),
		ignored: map[string]int{},
		origins: map[string]*origin{}, uids: map[types.UID]*origin{},
		secrets:  map[types.NamespacedName]*object{},
		hashes:   map[token.Hash]*material{},
		material: map[types.NamespacedName][]*material{},
	}
	l.mistakes.add(read.mistakes...)
	for _, f := range read.files {
		all, mistakes := documents(f)
		l.mistakes.add(mistakes...)
		for _, d := range all {
			l.document(d)
		}
	}
	// What another object would be checked against may be what could not be read.
	if len(l.mistakes) == 0 {
		l.check()
	}
	if len(l.mistakes) == 0 && l.state.empty() {
		l.mistakes.add(Mistake{File: ".", Text: "nothing of keys.claviger.dev is declared here, and an empty directory is not believed: " +
			"is it the right one, and is its volume mounted?"})
	}
	return result{l.state, l.mistakes, l.warnings, l.ignored}, nil
}

func (l *loader) document(d document) {
	if d.content["kind"] != "List" || d.content["apiVersion"] != "v1" {
		l.object(&object{origin: d.origin, content: d.content})
		return
	}
	items, ok := d.content["items"].([]any)
	if !ok {
		l.mistakes.add(d.mistake(field.Required(field.NewPath("items"), "a List has items")))
		return
	}
	for i, item := range items {
		at := d.origin
		at.at = fmt.Sprintf("items[%d]", i)
		content, ok := item.(map[string]any)
		if !ok {
			l.mistakes.add(Mistake{at.file, at.lineOf(""), "is not a manifest: it must have apiVersion, kind and metadata"})
			continue
		}
		l.object(&object{origin: at, content: content})
	}
}

// object takes an object in. What is not of Claviger's group is somebody else's, but whatever
// is must be understood.
func (l *loader) object(o *object) {
	if l.objects++; l.objects > maxObjects {
		if l.objects == maxObjects+1 {
			l.mistakes.add(Mistake{o.file, o.line, fmt.Sprintf("there are more than %d objects: so many want a cluster", maxObjects)})
		}
		return
	}
	if l.mistakes.full() {
		return
	}
	apiVersion, _ := o.content["apiVersion"].(string)
	kind, _ := o.content["kind"].(string)
	switch {
	case apiVersion == "v1" && kind == "Secret":
		l.secret(o)
	case apiVersion == "" && l.schemas[kind] != nil:
		l.mistakes.add(o.mistake(field.Required(field.NewPath("apiVersion"), "write apiVersion: "+v1alpha1.GroupVersion.String())))
	case groupOf(apiVersion) != v1alpha1.GroupVersion.Group:
		l.ignored[masked(strings.TrimSpace(apiVersion+" "+kind))]++
	case apiVersion != v1alpha1.GroupVersion.String():
		l.mistakes.add(o.mistake(field.NotSupported(field.NewPath("apiVersion"), apiVersion, []string{v1alpha1.GroupVersion.String()})))
	default:
		l.ours(o, kind)
	}
}

func groupOf(apiVersion string) string {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		group, _, _ := strings.Cut(apiVersion, "/")
		return group
	}
	return gv.Group
}

func (l *loader) ours(o *object, kind string) {
	switch kind {
	case "Workspace":
		admit(l, o, kind, l.state.workspaces)
	case "ServiceAccount":
		admit(l, o, kind, l.state.accounts)
	case "KeyLimit":
		admit(l, o, kind, l.state.limits)
	case "ApiKey":
		if admit(l, o, kind, l.state.keys) {
			l.keys = append(l.keys, o.name())
		}
	default:
		l.mistakes.add(o.mistake(field.NotSupported(field.NewPath("kind"), kind, slices.Sorted(maps.Keys(l.schemas)))))
	}
}

// admit checks an object by itself, as the API server would, and takes it up.
func admit[T any](l *loader, o *object, kind string, into map[types.NamespacedName]*T) bool {
	errs := o.readMetadata()
	// Whatever a cluster has noted there is not what is declared.
	delete(o.content, "status")
	errs = append(errs, l.schemas[kind].Admit(context.Background(), o.content)...)
	if len(errs) > 0 {
		l.mistakes.add(o.mistakes(errs)...)
		return false
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.content, typed); err != nil {
		l.mistakes.add(Mistake{o.file, o.lineOf(""), masked(err.Error())})
		return false
	}
	if o.meta.UID == "" {
		o.meta.UID = derivedUID(kind, o.name())
	}
	if !l.unique(o, kind) {
		return false
	}
	into[o.name()] = typed
	setMeta(typed, &o.meta)
	return true
}

// setMeta keeps what the index and the rules read.
func setMeta(typed any, meta *metav1.ObjectMeta) {
	object := typed.(metav1.Object)
	object.SetNamespace(meta.Namespace)
	object.SetUID(meta.UID)
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	object.SetAnnotations(annotations)
}

// unique refuses a second object of a name, and one that claims to be another.
func (l *loader) unique(o *object, kind string) bool {
	id := kind + " " + o.name().String()
	if other := l.origins[id]; other != nil {
		l.mistakes.add(o.mistake(field.Duplicate(field.NewPath("metadata", "name"), id+", which "+other.place()+" declares")))
		return false
	}
	if other := l.uids[o.meta.UID]; other != nil {
		l.mistakes.add(o.mistake(field.Duplicate(field.NewPath("metadata", "uid"), "the same as at "+other.place()+": leave it out")))
		return false
	}
	l.origins[id], l.uids[o.meta.UID] = &o.origin, &o.origin
	return true
}

func (l *loader) warn(o *origin, format string, args ...any) {
	if len(l.warnings) < maxMistakes {
		l.warnings = append(l.warnings, Mistake{o.file, o.lineOf(""), fmt.Sprintf(format, args...)}.String())
	}
}
