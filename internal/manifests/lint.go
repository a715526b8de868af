package manifests

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/crdschema"
	"github.com/claviger-dev/claviger/internal/validation"
)

// Findings are what Lint has to say.
type Findings struct {
	// Mistakes are what an API server or the webhook would refuse.
	Mistakes Mistakes
	// Warnings are what they would let pass, and what is worth a look all the same.
	Warnings []Mistake
	// Skipped counts what is not Claviger's, by apiVersion and kind.
	Skipped map[string]int
	// Objects is how many of Claviger's kinds there are.
	Objects int
}

// Stdin is the path that means what is read from Lint's reader.
const Stdin = "-"

// Lint checks manifests as an API server and the webhook would, were they applied all at once. Each path is a
// file, a directory with all that is below it, or Stdin. Objects that name no namespace are in the one given.
//
// Unlike a directory that a verifier serves, these need not be complete: what refers to an object that is not among
// them is only warned of, as by the webhook. And Secrets are passed over.
func Lint(paths []string, stdin io.Reader, namespace string, now time.Time) (Findings, error) {
	schemas, err := crdschema.Load()
	if err != nil {
		return Findings{}, fmt.Errorf("the CRDs in this program are broken: %w", err)
	}
	l := linter{
		loader: loader{
			schemas: schemas, now: now, state: newState(), ignored: map[string]int{},
			origins: map[string]*origin{}, uids: map[types.UID]*origin{},
		},
		namespace: namespace,
	}
	for _, path := range paths {
		l.path(path, stdin)
	}
	l.check()
	return Findings{l.mistakes, l.notes, l.ignored, l.objects}, nil
}

type linter struct {
	loader
	namespace string
	notes     []Mistake
}

func (l *linter) path(path string, stdin io.Reader) {
	if path == Stdin {
		text, err := io.ReadAll(io.LimitReader(stdin, maxTotalSize+1))
		switch {
		case err != nil:
			l.mistakes.add(Mistake{File: "standard input", Text: cause("cannot be read", err).Error()})
		case len(text) > maxTotalSize:
			l.mistakes.add(Mistake{File: "standard input", Text: fmt.Sprintf("is larger than %d MiB: split it", maxTotalSize>>20)})
		default:
			l.file(file{"standard input", text})
		}
		return
	}
	found := readPath(path)
	l.mistakes.add(found.mistakes...)
	for _, f := range found.files {
		l.file(f)
	}
}

// readPath reads a directory or a file, whatever a file is named. Files are named as the path leads to them.
func readPath(path string) content {
	single := reader{}
	text, err := single.file(path)
	if err == nil {
		return content{files: []file{{filepath.ToSlash(path), text}}}
	}
	found := read(path)
	if len(found.directories) == 0 { // nor is it a directory, and why it is no file says more
		return content{mistakes: Mistakes{{File: filepath.ToSlash(path), Text: err.Error()}}}
	}
	for i := range found.files {
		found.files[i].name = filepath.ToSlash(filepath.Join(path, found.files[i].name))
	}
	for i := range found.mistakes {
		found.mistakes[i].File = filepath.ToSlash(filepath.Join(path, found.mistakes[i].File))
	}
	return found
}

func (l *linter) file(f file) {
	all, mistakes := documents(f)
	l.mistakes.add(mistakes...)
	for _, d := range all {
		l.each(d, func(o *object) {
			if o.content["apiVersion"] == "v1" && o.content["kind"] == "Secret" {
				l.ignored["v1 Secret"]++
				return
			}
			l.place(o)
			before := l.ignored[kindOf(o)]
			l.object(o)
			if l.ignored[kindOf(o)] > before {
				l.objects-- // it is somebody else's
			}
		})
	}
}

func kindOf(o *object) string {
	apiVersion, _ := o.content["apiVersion"].(string)
	kind, _ := o.content["kind"].(string)
	return masked(strings.TrimSpace(apiVersion + " " + kind))
}

// place puts an object that names no namespace into the one that it would be applied to.
func (l *linter) place(o *object) {
	meta, ok := o.content["metadata"].(map[string]any)
	if ok && l.namespace != "" && (meta["namespace"] == nil || meta["namespace"] == "") {
		meta["namespace"] = l.namespace
	}
}

// check asks the rules that take a look at other objects. It goes on where something could not be read: what
// referred to it is then only warned of.
func (l *linter) check() {
	for _, name := range sorted(l.state.workspaces) {
		w := l.state.workspaces[name]
		l.report("Workspace", name, validation.Workspace(w))
		l.missing("Workspace", name, l.checkLimitsOfWorkspace(name.Namespace, &w.Spec))
	}
	for _, name := range sorted(l.state.accounts) {
		a := l.state.accounts[name]
		workspace, missing := refer(l.state.workspaces, name.Namespace, "workspaceRef", &a.Spec.WorkspaceRef)
		l.report("ServiceAccount", name, validation.ServiceAccount(a, workspace))
		l.missing("ServiceAccount", name, append(missing, l.checkLimits(name.Namespace, specPath, a.Spec.LimitRefs)...))
	}
	for _, name := range sorted(l.state.limits) {
		l.report("KeyLimit", name, validation.KeyLimit(l.state.limits[name]))
	}
	l.checkKeysAlone()
	slices.SortStableFunc(l.mistakes, byPlace)
	slices.SortStableFunc(l.notes, byPlace)
}

// checkKeysAlone is checkKeys without the keys themselves. An end that is over is only warned of: what is right
// today would be wrong tomorrow, and the webhook refuses it of new keys alone.
func (l *linter) checkKeysAlone() {
	taken := newPlaces()
	for _, name := range l.keys {
		key := l.state.keys[name]
		workspace, missing := refer(l.state.workspaces, name.Namespace, "workspaceRef", &key.Spec.WorkspaceRef)
		account, more := refer(l.state.accounts, name.Namespace, "serviceAccountRef", key.Spec.ServiceAccountRef)
		missing = append(append(missing, more...), l.checkLimits(name.Namespace, specPath, key.Spec.LimitRefs)...)
		refs := validation.References{Workspace: workspace, ServiceAccount: account, IssuedAt: l.now}
		taken.tell(&refs, key)
		l.report("ApiKey", name, validation.ApiKey(key, refs, l.now))
		l.missing("ApiKey", name, missing)
		l.noteEnd(name, key, workspace)
		taken.take(&refs, key, l.now)
	}
}

func (l *linter) noteEnd(name types.NamespacedName, key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) {
	path := specPath.Child("expiresAt")
	switch {
	case key.Spec.State == v1alpha1.KeyRevoked:
	case key.Spec.ExpiresAt != nil && !key.Spec.ExpiresAt.After(l.now):
		l.note("ApiKey", name, path, "is over: a cluster that does not have the key yet refuses it; remove the ApiKey, or set a later end")
	case workspace != nil && validation.ApprovedEnd(key, workspace, l.now) == nil:
		l.note("ApiKey", name, path, "the key never expires: set ttl or expiresAt, or a defaultTTL in its Workspace")
	}
}

func (l *linter) note(kind string, name types.NamespacedName, path *field.Path, text string) {
	o := l.origins[kind+" "+name.String()]
	l.notes = append(l.notes, Mistake{o.file, o.lineOf(path.String()), path.String() + ": " + masked(text)})
}

// missing warns of references to nothing.
func (l *linter) missing(kind string, name types.NamespacedName, errs field.ErrorList) {
	for _, err := range errs {
		o := l.origins[kind+" "+name.String()]
		l.notes = append(l.notes, Mistake{o.file, o.lineOf(err.Field),
			masked(fmt.Sprintf("%s: %q is not among these manifests, so that nothing was checked against it: is it in the cluster?", err.Field, err.BadValue))})
	}
}

func byPlace(a, b Mistake) int {
	if n := strings.Compare(a.File, b.File); n != 0 {
		return n
	}
	return a.Line - b.Line
}

func sorted[T any](of map[types.NamespacedName]*T) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(of), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
}

// each takes a document apart where it is a List, as kubectl get -o yaml prints it.
func (l *linter) each(d document, take func(*object)) {
	items, ok := d.content["items"].([]any)
	kind, _ := d.content["kind"].(string)
	apiVersion, _ := d.content["apiVersion"].(string)
	list := kind == "List" && apiVersion == "v1" || strings.HasSuffix(kind, "List") && groupOf(apiVersion) == v1alpha1.GroupVersion.Group
	if !list || !ok {
		take(&object{origin: d.origin, content: d.content})
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
		take(&object{origin: at, content: content})
	}
}
