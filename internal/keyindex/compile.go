package keyindex

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/network"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
)

// compile makes anew what many profiles come to, for a caller that holds both mutexes. It lets
// go of mu between two of them, so that whoever revokes a key waits for one profile to be compiled,
// not for all of somebody else's. Keys that come or change meanwhile are compiled by what is
// there already; the value that lets them work is stored after the last.
func (x *Index) compile(profiles iter.Seq[*profile]) {
	for p := range profiles {
		x.compileProfile(p)
		x.yield()
	}
}

// yield lets those who wait for mu go first.
func (x *Index) yield() {
	x.mu.Unlock()
	defer x.mu.Lock()
	if x.between != nil {
		x.between()
	}
}

func (x *Index) compileProfile(p *profile) {
	spec := &p.spec
	class := policy.Class{
		Namespace:   spec.Namespace,
		Environment: spec.Environment,
		Workspace:   spec.Workspace,
		WorkspaceID: p.workspace.id,
		Account:     spec.Account,
		Entity:      spec.Entity,
		Networks:    x.networksOf(spec.AllowedCIDRs),
		Metadata:    spec.Metadata,
	}
	c := &compiled{profile: p, ttl: spec.TTL, class: class, workspace: p.workspace, limits: x.attach(p), buckets: x.buckets}
	x.grant(&c.class, p)
	// An account of another workspace is as good as none, and so the keys grant nothing.
	if p.account != nil && p.account.object != nil && p.account.object.Spec.WorkspaceRef.Name == spec.Workspace {
		c.account = p.account
	}
	x.profiles.at(p.number).Store(c)
}

// grant compiles what keys may really do; nothing while what bounds them is missing.
func (x *Index) grant(class *policy.Class, p *profile) {
	if p.workspace.object == nil || p.account != nil && p.account.object == nil {
		return
	}
	bounds := p.workspace.bounds()
	if p.account != nil {
		bounds = p.account.boundsUnder(p.workspace)
	}
	granted := wellFormed(p.spec.Scopes)
	class.Scopes = x.share(bounds.Effective(granted))
	class.Grants = bounds.Compile(wellFormedGrants(p.spec.Grants), granted)
	class.Grants.Share(x.share)
}

// wellFormed leaves out what is no scope. The schema refuses it; what matches it is undefined.
func wellFormed(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return scope.Validate(s) != nil })
}

func wellFormedGrants(grants []scope.Grant) []scope.Grant {
	list := slices.Clone(grants)
	for i := range list {
		list[i].Scopes = wellFormed(list[i].Scopes)
	}
	return list
}

func grantsOf(grants []v1alpha1.Grant) []scope.Grant {
	var list []scope.Grant
	for _, g := range grants {
		list = append(list, scope.Grant{Resource: string(g.Resource), Scopes: texted(g.Scopes)})
	}
	return list
}

// state takes whatever it does not know for revoked.
func state(s v1alpha1.KeyState) policy.State {
	switch s {
	case v1alpha1.KeyActive, "":
		return policy.Active
	case v1alpha1.KeyDisabled:
		return policy.Disabled
	default:
		return policy.Revoked
	}
}

// networks is nil where keys may be used from anywhere. Networks that are none leave a set that
// no address is in.
func networks(cidrs []string) *network.Set {
	var prefixes []netip.Prefix
	for _, cidr := range cidrs {
		prefix, _ := netip.ParsePrefix(cidr)
		prefixes = append(prefixes, prefix)
	}
	return network.New(prefixes)
}

func names(refs []v1alpha1.LocalReference) []string {
	var list []string
	for _, ref := range refs {
		list = append(list, ref.Name)
	}
	return list
}
