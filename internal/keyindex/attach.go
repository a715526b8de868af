package keyindex

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limitstore"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
)

// Limit is a rule that holds for keys.
type Limit struct {
	Name string    // of the KeyLimit
	ID   types.UID // likewise
	local.Rule
	// Group is zero where a request is refused that does not fit. Any other number is that of a KeyLimit that
	// is tried in shadow; its rules stand together.
	Group int
	// Shared names the rule to other verifiers, in whose limits it may be.
	Shared     string
	SharedHash uint64 // limitstore.HashOf it
	// Strict asks for a round trip with each request where limits are shared.
	Strict bool
	shared local.Subject // whose requests are counted; 0: the key's own
}

// attachment gathers the limits that hold for keys.
type attachment struct {
	index     *Index
	namespace string
	seen      map[attached]struct{}
	enforced  []Limit
	shadows   []Limit
	groups    int
}

type attached struct {
	limit   types.UID
	subject local.Subject
}

// attach finds the limits that hold for keys: their own, their account's, their entity's, their department's and
// their workspace's. The same limit counting the same subject holds once, however often it is named.
func (x *Index) attach(p *profile) []Limit {
	a := attachment{index: x, namespace: p.spec.Namespace, seen: map[attached]struct{}{}}
	a.add(p.spec.LimitRefs, 0)
	if p.account != nil && p.account.object != nil {
		a.add(names(p.account.object.Spec.LimitRefs), p.account.subject)
	}
	if w := p.workspace; w.object != nil {
		e := p.spec.Entity
		if refs := w.entities[entityName{e.Kind, e.ID}]; len(refs) > 0 {
			a.add(refs, local.SubjectOf("entity", string(w.object.UID), e.Kind, e.ID))
		}
		if refs := w.departments[e.Department]; len(refs) > 0 {
			a.add(refs, local.SubjectOf("department", string(w.object.UID), e.Department))
		}
		a.add(names(w.object.Spec.LimitRefs), w.subject)
	}
	return append(a.enforced, a.shadows...)
}

// add attaches the limits of some names for a referrer.
func (a *attachment) add(names []string, referrer local.Subject) {
	for _, name := range names {
		l := a.index.limits[types.NamespacedName{Namespace: a.namespace, Name: name}]
		if l == nil || !l.counts() {
			continue
		}
		this := attached{l.object.UID, 0}
		if l.object.Spec.Sharing == v1alpha1.SharingShared {
			this.subject = referrer
		}
		if _, seen := a.seen[this]; seen {
			continue
		}
		a.seen[this] = struct{}{}
		a.addRules(name, l, this.subject)
	}
}

func (a *attachment) addRules(name string, l *keyLimit, subject local.Subject) {
	into, group := &a.enforced, 0
	if l.object.Spec.Mode == v1alpha1.ModeShadow {
		a.groups++
		into, group = &a.shadows, a.groups
	}
	for _, rule := range l.rules {
		shared := string(l.object.UID) + "/" + rule.Name
		*into = append(*into, Limit{
			Name: name, ID: l.object.UID, Rule: rule, Group: group, shared: subject,
			Shared: shared, SharedHash: limitstore.HashOf(shared),
			Strict: l.object.Spec.Consistency == v1alpha1.ConsistencyStrict,
		})
	}
}

// entityName is how a Workspace names an entity.
type entityName struct{ kind, id string }

// limitsByEntity are the limits that a Workspace names for single entities and departments.
func limitsByEntity(spec *v1alpha1.WorkspaceSpec) (entities map[entityName][]string, departments map[string][]string) {
	entities, departments = map[entityName][]string{}, map[string][]string{}
	for _, e := range spec.Entities {
		entities[entityName{e.Kind, string(e.ID)}] = names(e.LimitRefs)
	}
	for _, d := range spec.Departments {
		departments[string(d.Name)] = names(d.LimitRefs)
	}
	return entities, departments
}
