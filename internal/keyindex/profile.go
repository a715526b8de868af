package keyindex

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
)

// profileSpec is what ApiKeys have in common: all of their spec that the verifier needs, but for
// the name, the end and the state. It is never changed.
type profileSpec struct {
	Namespace, Workspace string
	Account              string `json:",omitempty"` // empty: none is named
	Environment          string
	TTL                  time.Duration     `json:",omitempty"`
	Scopes               []string          `json:",omitempty"`
	LimitRefs            []string          `json:",omitempty"`
	AllowedCIDRs         []string          `json:",omitempty"`
	Entity               policy.Entity     `json:",omitzero"`
	Metadata             map[string]string `json:",omitempty"`
	Grants               []scope.Grant     `json:",omitempty"`
}

// profile is a profileSpec that keys have, with what it comes to.
type profile struct {
	spec      profileSpec
	content   [sha256.Size]byte // by which it is found
	number    uint32
	keys      int // that have it
	workspace *workspace
	account   *account // nil where none is named
}

// profileSlot is where readers find what a profile comes to, by its number.
type profileSlot struct{ atomic.Pointer[compiled] }

// compiled is what a profile comes to under its Workspace, its ServiceAccount and its limits,
// as they are. It is immutable.
type compiled struct {
	profile   *profile
	ttl       time.Duration
	class     policy.Class
	workspace *workspace
	account   *account // nil where the keys have none, or none that counts
	limits    []Limit
	buckets   *local.Store
}

func (c *compiled) accountValue() *policy.Account {
	if c.account == nil {
		return nil
	}
	return c.account.value.Load()
}

// specOf is the profile of an ApiKey. It shares no memory with the object.
func specOf(object *v1alpha1.ApiKey) profileSpec {
	spec := &object.Spec
	p := profileSpec{
		Namespace:    object.Namespace,
		Workspace:    spec.WorkspaceRef.Name,
		Environment:  string(spec.Environment),
		Scopes:       texted(spec.Scopes),
		AllowedCIDRs: texted(spec.AllowedCIDRs),
		Grants:       grantsOf(spec.Grants),
	}
	if e := spec.Entity; e != nil {
		p.Entity = policy.Entity{Kind: e.Kind, ID: string(e.ID), Department: string(e.Department)}
	}
	if spec.ServiceAccountRef != nil {
		p.Account = spec.ServiceAccountRef.Name
	}
	if spec.TTL != nil {
		p.TTL = spec.TTL.Duration
	}
	for _, ref := range spec.LimitRefs {
		p.LimitRefs = append(p.LimitRefs, ref.Name)
	}
	if len(spec.Metadata) > 0 {
		p.Metadata = make(map[string]string, len(spec.Metadata))
		for name, value := range spec.Metadata {
			p.Metadata[name] = string(value)
		}
	}
	return p
}

// texted copies a list of texts; nil where it is empty.
func texted[Text ~string](list []Text) []string {
	var texts []string
	for _, text := range list {
		texts = append(texts, string(text))
	}
	return texts
}

// appendContent writes a spec in a form that is the same for equal specs only.
func (p *profileSpec) appendContent(b []byte) []byte {
	b = binary.AppendVarint(b, int64(p.TTL))
	for _, text := range [...]string{p.Namespace, p.Workspace, p.Account, p.Environment, p.Entity.Kind, p.Entity.ID, p.Entity.Department} {
		b = appendText(b, text)
	}
	b = appendTexts(b, p.Scopes)
	b = appendTexts(b, p.LimitRefs)
	b = appendTexts(b, p.AllowedCIDRs)
	b = binary.AppendUvarint(b, uint64(len(p.Metadata)))
	if len(p.Metadata) > 0 {
		for _, name := range slices.Sorted(maps.Keys(p.Metadata)) {
			b = appendText(appendText(b, name), p.Metadata[name])
		}
	}
	b = binary.AppendUvarint(b, uint64(len(p.Grants)))
	for _, grant := range p.Grants {
		b = appendTexts(appendText(b, grant.Resource), grant.Scopes)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, texts []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, text := range texts {
		b = appendText(b, text)
	}
	return b
}

// profile finds the profile of a spec, or makes it, compiled.
func (x *Index) profile(spec profileSpec) *profile {
	x.content = spec.appendContent(x.content[:0])
	content := sha256.Sum256(x.content)
	if p := x.byContent[content]; p != nil {
		return p
	}
	x.pool(&spec)
	p := &profile{
		spec: spec, content: content, number: x.profiles.take(),
		workspace: x.workspace(types.NamespacedName{Namespace: spec.Namespace, Name: spec.Workspace}),
	}
	p.workspace.join(p)
	if spec.Account != "" {
		p.account = x.account(types.NamespacedName{Namespace: spec.Namespace, Name: spec.Account})
		p.account.join(p)
	}
	x.refer(p, spec.Namespace, nil, spec.LimitRefs)
	x.byContent[p.content] = p
	x.compileProfile(p)
	return p
}

// leave takes note that a key has a profile no longer.
func (x *Index) leave(number uint32) {
	if number == 0 {
		return
	}
	p := x.profiles.at(number).Load().profile
	if p.keys--; p.keys > 0 {
		return
	}
	delete(x.byContent, p.content)
	p.workspace.leave(p)
	x.releaseWorkspace(types.NamespacedName{Namespace: p.spec.Namespace, Name: p.spec.Workspace})
	if p.account != nil {
		p.account.leave(p)
		x.releaseAccount(types.NamespacedName{Namespace: p.spec.Namespace, Name: p.spec.Account})
	}
	x.refer(p, p.spec.Namespace, p.spec.LimitRefs, nil)
	// A reader that is on its way there finds that its key has changed, and looks no further.
	x.profiles.at(p.number).Store(nil)
	x.profiles.release(p.number)
}
