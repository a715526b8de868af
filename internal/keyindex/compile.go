package keyindex

import (
	"iter"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/policy"
)

// compile makes the entries of many keys anew, for a caller that holds both mutexes. It lets
// go of mu between two of them, so that whoever revokes a key waits for one key to be compiled,
// not for all of somebody else's. Keys that come or change meanwhile are compiled by what is
// there already; the value that lets them work is stored after the last.
func (x *Index) compile(keys iter.Seq[*apiKey]) {
	var m memo
	for k := range keys {
		x.publishKey(k, &m)
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

// entry compiles one credential of a declared key.
func (x *Index) entry(k *apiKey, c *credential.Credential, m *memo) *entry {
	spec := &k.object.Spec
	e := &entry{
		key: policy.Key{
			ID:           string(k.object.UID),
			Name:         k.object.Name,
			Namespace:    k.object.Namespace,
			DisplayName:  spec.DisplayName,
			Environment:  string(spec.Environment),
			Workspace:    spec.WorkspaceRef.Name,
			State:        state(spec.State),
			Scopes:       m.scopes(k),
			AllowedCIDRs: networks(spec.AllowedCIDRs),
			ExpiresAt:    c.End(spec),
			Metadata:     metadata(spec.Metadata),
		},
		workspace: k.workspace,
		limits:    x.attach(k),
	}
	if spec.ServiceAccountRef != nil {
		e.key.Account = spec.ServiceAccountRef.Name
		// An account of another workspace is as good as none, and so the key grants nothing.
		if k.account.object != nil && k.account.object.Spec.WorkspaceRef == spec.WorkspaceRef {
			e.account = k.account
		}
	}
	return e
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

func texts(scopes []v1alpha1.Scope) []string {
	if len(scopes) == 0 {
		return nil
	}
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = string(s)
	}
	return list
}

// networks keeps a place for what is no network: an empty list would mean from anywhere,
// and a prefix that is not valid contains no address.
func networks(cidrs []v1alpha1.CIDR) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, cidr := range cidrs {
		prefix, _ := netip.ParsePrefix(string(cidr))
		if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

func metadata(values map[string]v1alpha1.MetadataValue) map[string]string {
	if len(values) == 0 {
		return nil
	}
	compiled := make(map[string]string, len(values))
	for name, value := range values {
		compiled[name] = string(value)
	}
	return compiled
}

// attach finds the limits that hold for a key: its own, its account's and its workspace's.
// The same limit counting the same subject holds once, however often it is named.
func (x *Index) attach(k *apiKey) Limits {
	type once struct{ limit, subject types.UID }
	var (
		limits Limits
		seen   []once
	)
	add := func(refs []v1alpha1.LocalReference, referrer types.UID) {
		for _, ref := range refs {
			l := x.limits[types.NamespacedName{Namespace: k.object.Namespace, Name: ref.Name}]
			if l == nil || !l.counts() {
				continue
			}
			this := once{l.object.UID, k.object.UID}
			if l.object.Spec.Sharing == v1alpha1.SharingShared {
				this.subject = referrer
			}
			if slices.Contains(seen, this) {
				continue
			}
			seen = append(seen, this)
			for _, attached := range x.buckets.Attach(this.limit, this.subject) {
				limits.Names = append(limits.Names, l.object.Name)
				limits.Attached = append(limits.Attached, attached)
			}
		}
	}
	add(k.object.Spec.LimitRefs, k.object.UID)
	if k.account != nil && k.account.object != nil {
		add(k.account.object.Spec.LimitRefs, k.account.object.UID)
	}
	if k.workspace.object != nil {
		add(k.workspace.object.Spec.LimitRefs, k.workspace.object.UID)
	}
	return limits
}
