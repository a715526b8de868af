package keyindex

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

var (
	now    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hash   = token.HashOf("the key")
	issued = now.Add(-time.Hour)
)

// uid is the UID of whatever has a name.
func uid(name string) types.UID { return types.UID(keyid.Derive(name).String()) }

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: uid(name)}
}

func in(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: name}
}

func refs(names ...string) []v1alpha1.LocalReference {
	var list []v1alpha1.LocalReference
	for _, name := range names {
		list = append(list, v1alpha1.LocalReference{Name: name})
	}
	return list
}

func shop(edit ...func(*v1alpha1.WorkspaceSpec)) *v1alpha1.Workspace {
	w := &v1alpha1.Workspace{ObjectMeta: meta("shop")}
	for _, e := range edit {
		e(&w.Spec)
	}
	return w
}

func robot(edit ...func(*v1alpha1.ServiceAccountSpec)) *v1alpha1.ServiceAccount {
	a := &v1alpha1.ServiceAccount{ObjectMeta: meta("robot"), Spec: v1alpha1.ServiceAccountSpec{WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}}}
	for _, e := range edit {
		e(&a.Spec)
	}
	return a
}

func key(name string, edit ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{ObjectMeta: meta(name), Spec: v1alpha1.ApiKeySpec{
		WorkspaceRef: v1alpha1.LocalReference{Name: "shop"},
		Scopes:       []v1alpha1.Scope{"read", "write"},
	}}
	for _, e := range edit {
		e(&k.Spec)
	}
	return k
}

func ofRobot(s *v1alpha1.ApiKeySpec) {
	s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
}

func perMinute(name string, requests int64, edit ...func(*v1alpha1.KeyLimitSpec)) *v1alpha1.KeyLimit {
	l := &v1alpha1.KeyLimit{ObjectMeta: meta(name), Spec: v1alpha1.KeyLimitSpec{
		Rates: []v1alpha1.Rate{{Requests: requests, Per: metav1.Duration{Duration: time.Minute}}},
	}}
	for _, e := range edit {
		e(&l.Spec)
	}
	return l
}

func shared(s *v1alpha1.KeyLimitSpec)   { s.Sharing = v1alpha1.SharingShared }
func disabled(s *v1alpha1.KeyLimitSpec) { off := false; s.Enabled = &off }

func issuedFor(name string, h token.Hash) credential.Credential {
	return credential.Credential{Hash: h, ApiKeyUID: uid(name), ApiKey: in(name), Generation: 1, IssuedAt: issued}
}

// serving is an index with a working key "k" in the workspace "shop".
func serving(t *testing.T, k *v1alpha1.ApiKey) *Index {
	t.Helper()
	x := New()
	x.SetWorkspace(shop())
	x.SetServiceAccount(robot())
	x.SetApiKey(k)
	x.SetCredential(issuedFor(k.Name, hash))
	if got := check(x, hash); got != policy.CodeValid {
		t.Fatalf("a fresh key is %s", got)
	}
	return x
}

// check decides as the verifier would.
func check(x *Index, h token.Hash) policy.Code {
	var entry Entry
	x.Lookup(h, &entry)
	return policy.Check(&policy.Request{}, &entry.Record, now)
}

func scopesOf(e Entry) []string {
	set := e.Scopes("")
	return set.List()
}

func limitNames(e Entry) []string {
	var list []string
	for _, l := range e.Limits {
		list = append(list, l.Name)
	}
	return list
}

func mustFind(t *testing.T, x *Index, h token.Hash) Entry {
	t.Helper()
	var entry Entry
	if !x.Lookup(h, &entry) {
		t.Fatal("the key is not found")
	}
	return entry
}

func TestChangesTakeHoldAtTheNextLookup(t *testing.T) {
	tests := map[string]struct {
		key    *v1alpha1.ApiKey
		change func(*Index)
		want   policy.Code
	}{
		"nothing":            {key("k"), func(*Index) {}, policy.CodeValid},
		"the ApiKey deleted": {key("k"), func(x *Index) { x.DeleteApiKey(uid("k")) }, policy.CodeKeyInvalid},
		"the ApiKey made again under its name": {key("k"), func(x *Index) {
			again := key("k")
			again.UID = uid("another")
			x.SetApiKey(again)
			x.RetainApiKeys(func(id types.UID) bool { return id == again.UID })
		}, policy.CodeKeyInvalid},
		"the ApiKey revoked":   {key("k"), func(x *Index) { x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked })) }, policy.CodeKeyRevoked},
		"the ApiKey disabled":  {key("k"), func(x *Index) { x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyDisabled })) }, policy.CodeKeyDisabled},
		"an unheard-of state":  {key("k"), func(x *Index) { x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.State = "Paused" })) }, policy.CodeKeyRevoked},
		"the Secret deleted":   {key("k"), func(x *Index) { x.DeleteCredential(uid("k"), 1) }, policy.CodeKeyInvalid},
		"the Secret rewritten": {key("k"), func(x *Index) { x.SetCredential(issuedFor("k", token.HashOf("other"))) }, policy.CodeKeyInvalid},
		"a time to live that is over": {key("k"), func(x *Index) {
			x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.TTL = &metav1.Duration{Duration: time.Minute} }))
		}, policy.CodeKeyExpired},
		"an approved end that is over": {key("k"), func(x *Index) {
			c := issuedFor("k", hash)
			c.NotAfter = &issued
			x.SetCredential(c)
		}, policy.CodeKeyExpired},
		"the Workspace suspended": {key("k"), func(x *Index) { x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { s.Suspended = true })) }, policy.CodeWorkspaceSuspended},
		"the Workspace suspended and resumed": {key("k"), func(x *Index) {
			x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { s.Suspended = true }))
			x.SetWorkspace(shop())
		}, policy.CodeValid},
		"the Workspace deleted": {key("k"), func(x *Index) { x.DeleteWorkspace(in("shop")) }, policy.CodeKeyInvalid},
		"the Workspace deleted and made again": {key("k"), func(x *Index) {
			x.DeleteWorkspace(in("shop"))
			x.SetWorkspace(shop())
		}, policy.CodeValid},
		"the ServiceAccount suspended": {key("k", ofRobot), func(x *Index) {
			x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.Suspended = true }))
		}, policy.CodeAccountSuspended},
		"the ServiceAccount deleted": {key("k", ofRobot), func(x *Index) { x.DeleteServiceAccount(in("robot")) }, policy.CodeKeyInvalid},
		"the ServiceAccount made again in another workspace": {key("k", ofRobot), func(x *Index) {
			x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.WorkspaceRef.Name = "elsewhere" }))
		}, policy.CodeKeyInvalid},
		"networks that are none": {key("k"), func(x *Index) {
			x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.AllowedCIDRs = []v1alpha1.CIDR{"nonsense"} }))
		}, policy.CodeAddressDenied},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := serving(t, test.key)
			test.change(x)
			if got := check(x, hash); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestScopesFollowCatalogueAndCeiling(t *testing.T) {
	x := serving(t, key("k", ofRobot))
	expect := func(when string, want ...string) {
		t.Helper()
		if got := scopesOf(mustFind(t, x, hash)); !slices.Equal(got, want) {
			t.Errorf("%s: scopes %v, want %v", when, got, want)
		}
	}
	expect("at first", "read", "write")
	x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) {
		s.Scopes = []v1alpha1.ScopeDefinition{{Name: "write", Implies: []v1alpha1.Scope{"list"}}}
	}))
	expect("with a catalogue", "list", "write")
	x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) {
		s.Scopes = []v1alpha1.ScopeDefinition{{Name: "write", Implies: []v1alpha1.Scope{"list", "search"}}}
	}))
	expect("with a catalogue that implies more", "list", "search", "write")
	x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.Scopes = []v1alpha1.Scope{"list"} }))
	expect("with a ceiling")
	x.SetWorkspace(shop())
	x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.Scopes = []v1alpha1.Scope{"read"} }))
	expect("with another ceiling", "read")
	x.SetApiKey(key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.Scopes = []v1alpha1.Scope{"read", "not a scope"} }))
	x.SetServiceAccount(robot())
	expect("with a malformed scope", "read")
}

// Keys that ask for the same are compiled together only as far as the same bounds them.
func TestEachKeyKeepsItsOwnCeiling(t *testing.T) {
	x := serving(t, key("k", ofRobot))
	x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.Scopes = []v1alpha1.Scope{"read"} }))
	keys := map[string][]string{"k": {"read"}}
	for _, name := range []string{"k1", "k2"} {
		x.SetApiKey(key(name))
		x.SetCredential(issuedFor(name, token.HashOf(name)))
		keys[name] = []string{"read", "write"}
	}
	x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) {
		s.Scopes = []v1alpha1.ScopeDefinition{{Name: "read"}, {Name: "write"}}
	}))
	for name, want := range keys {
		h := hash
		if name != "k" {
			h = token.HashOf(name)
		}
		if got := scopesOf(mustFind(t, x, h)); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", name, got, want)
		}
	}
}

func TestAWorkspaceThatAppearsIsNeverSeenWithTheScopesOfNoCatalogue(t *testing.T) {
	x := New()
	x.SetApiKey(key("k"))
	x.SetCredential(issuedFor("k", hash))
	if got := scopesOf(mustFind(t, x, hash)); len(got) > 0 {
		t.Errorf("without its workspace the key has scopes %v", got)
	}
}

// Resyncs and status updates come by the thousand, and must not compile anything anew.
func TestAnUpdateThatChangesNothingKeepsTheEntry(t *testing.T) {
	x := serving(t, key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("l") }))
	x.SetKeyLimit(perMinute("l", 1))
	described := func(text string) func(*v1alpha1.WorkspaceSpec) {
		return func(s *v1alpha1.WorkspaceSpec) {
			s.Scopes = []v1alpha1.ScopeDefinition{{Name: "write", Description: text, Implies: []v1alpha1.Scope{"list"}}}
		}
	}
	x.SetWorkspace(shop(described("Write.")))
	before := mustFind(t, x, hash).Class
	k := key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("l") })
	k.Status.State = "Active"
	x.SetApiKey(k)
	x.SetWorkspace(shop(described("Write things."), func(s *v1alpha1.WorkspaceSpec) { s.DisplayName = "The Shop"; s.Suspended = true }))
	x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.Suspended = true }))
	x.SetKeyLimit(perMinute("l", 1))
	x.SetCredential(issuedFor("k", hash))
	if after := mustFind(t, x, hash).Class; after != before {
		t.Error("the key was compiled anew")
	}
}

func TestOfTwoCredentialsWithOneHashTheOlderGrants(t *testing.T) {
	older, newer := issuedFor("old", hash), issuedFor("new", hash)
	newer.IssuedAt = issued.Add(time.Second)
	for name, order := range map[string][]credential.Credential{"older first": {older, newer}, "newer first": {newer, older}} {
		t.Run(name, func(t *testing.T) {
			x := New()
			x.SetWorkspace(shop())
			x.SetApiKey(key("old"))
			x.SetApiKey(key("new"))
			for _, c := range order {
				x.SetCredential(c)
			}
			if got := mustFind(t, x, hash).Key.Name; got != "old" {
				t.Errorf("it leads to %q", got)
			}
			x.DeleteApiKey(uid("old"))
			if got := mustFind(t, x, hash).Key.Name; got != "new" {
				t.Errorf("once the older ApiKey is gone it leads to %q", got)
			}
		})
	}
}

func TestLimitsThatHold(t *testing.T) {
	other := token.HashOf("the other key")
	x := serving(t, key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("own", "missing", "off", "both") }))
	x.SetApiKey(key("k2", ofRobot))
	x.SetCredential(issuedFor("k2", other))
	x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.LimitRefs = refs("together") }))
	x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = refs("each", "both") }))
	x.SetKeyLimit(perMinute("own", 1))
	x.SetKeyLimit(perMinute("off", 2, disabled))
	x.SetKeyLimit(perMinute("together", 3, shared))
	x.SetKeyLimit(perMinute("each", 4))
	x.SetKeyLimit(perMinute("both", 5)) // named twice, counted once

	first, second := mustFind(t, x, hash), mustFind(t, x, other)
	if want := []string{"own", "both", "together", "each"}; !slices.Equal(limitNames(first), want) {
		t.Fatalf("the first key has %v, want %v", limitNames(first), want)
	}
	if want := []string{"together", "each", "both"}; !slices.Equal(limitNames(second), want) {
		t.Fatalf("the second key has %v, want %v", limitNames(second), want)
	}
	if first.Attached(2).Bucket != second.Attached(0).Bucket {
		t.Error("a shared limit does not count two keys of the account together")
	}
	if first.Attached(3).Bucket == second.Attached(1).Bucket {
		t.Error("a limit for each key counts two keys together")
	}
}

func TestWhatWasUsedOutlivesEdits(t *testing.T) {
	x := serving(t, key("k", func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("l") }))
	x.SetKeyLimit(perMinute("l", 10))
	entry := mustFind(t, x, hash)
	limit.TakeAll([]limit.Attached{entry.Attached(0)}, now, limit.Cost{Requests: 4}, nil)
	left := func() int64 {
		entry := mustFind(t, x, hash)
		a := entry.Attached(0)
		return a.Look(now).Remaining
	}
	x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("l"); s.DisplayName = "renamed" }))
	x.SetKeyLimit(perMinute("l", 10, disabled))
	x.SetKeyLimit(perMinute("l", 20))
	if got := left(); got != 16 {
		t.Errorf("after edits %d are left, want 16", got)
	}
	x.DeleteKeyLimit(in("l"))
	if got := limitNames(mustFind(t, x, hash)); len(got) > 0 {
		t.Errorf("a deleted limit still holds: %v", got)
	}
	x.SetKeyLimit(perMinute("l", 20))
	if got := left(); got != 20 {
		t.Errorf("of a limit made anew %d are left, want 20", got)
	}
}

// A new object under an old name is another tenant, and counts from nothing; the same one goes on.
func TestWhatWasUsedGoesWithItsSubject(t *testing.T) {
	again := uid("again")
	tests := map[string]struct {
		fresh  []string
		remake func(*Index)
	}{
		"a key deleted, and made again": {[]string{"of key"}, func(x *Index) {
			x.DeleteApiKey(uid("k"))
			x.DeleteCredential(uid("k"), 1)
			k := key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("of key") })
			k.UID = again
			x.SetApiKey(k)
			c := issuedFor("k", hash)
			c.ApiKeyUID = again
			x.SetCredential(c)
		}},
		"an account that was away for a while": {nil, func(x *Index) {
			x.DeleteServiceAccount(in("robot"))
			x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.LimitRefs = refs("of account") }))
		}},
		"a workspace that was away for a while": {nil, func(x *Index) {
			x.DeleteWorkspace(in("shop"))
			x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = refs("of workspace") }))
		}},
		"an account made again": {[]string{"of account"}, func(x *Index) {
			a := robot(func(s *v1alpha1.ServiceAccountSpec) { s.LimitRefs = refs("of account") })
			a.UID = again
			x.SetServiceAccount(a)
		}},
		"a workspace made again": {[]string{"of workspace"}, func(x *Index) {
			w := shop(func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = refs("of workspace") })
			w.UID = again
			x.SetWorkspace(w)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := serving(t, key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.LimitRefs = refs("of key") }))
			x.SetServiceAccount(robot(func(s *v1alpha1.ServiceAccountSpec) { s.LimitRefs = refs("of account") }))
			x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = refs("of workspace") }))
			x.SetKeyLimit(perMinute("of key", 10))
			x.SetKeyLimit(perMinute("of account", 10, shared))
			x.SetKeyLimit(perMinute("of workspace", 10, shared))
			before := mustFind(t, x, hash)
			for i := range before.Limits {
				a := before.Attached(i)
				a.Take(now, limit.Cost{Requests: 1})
			}
			test.remake(x)
			var fresh []string
			after := mustFind(t, x, hash)
			for i := range after.Limits {
				if a := after.Attached(i); a.Look(now).Remaining == 10 {
					fresh = append(fresh, after.Limits[i].Name)
				}
			}
			if !slices.Equal(fresh, test.fresh) {
				t.Errorf("counted anew: %q, want only %q", fresh, test.fresh)
			}
		})
	}
}

func TestNetworksMatchIPv4HoweverTheyAreWritten(t *testing.T) {
	for _, cidr := range []v1alpha1.CIDR{"10.0.0.0/8", "::ffff:10.0.0.0/104"} {
		x := serving(t, key("k"))
		x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.AllowedCIDRs = []v1alpha1.CIDR{cidr} }))
		entry := mustFind(t, x, hash)
		for address, want := range map[string]policy.Code{"10.1.2.3": policy.CodeValid, "::ffff:10.1.2.3": policy.CodeValid, "11.1.2.3": policy.CodeAddressDenied} {
			request := policy.Request{ClientIP: netip.MustParseAddr(address)}
			if got := policy.Check(&request, &entry.Record, now); got != want {
				t.Errorf("%s from %s: %s, want %s", cidr, address, got, want)
			}
		}
	}
}

func TestCounts(t *testing.T) {
	x := serving(t, key("k"))
	x.SetKeyLimit(perMinute("l", 1))
	if got, want := x.Counts(), (Counts{1, 1, 1, 1, 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
