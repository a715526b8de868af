package keyindex

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

func listing(names ...v1alpha1.Scope) func(*v1alpha1.WorkspaceSpec) {
	return func(s *v1alpha1.WorkspaceSpec) {
		s.Scopes = nil
		for _, name := range names {
			s.Scopes = append(s.Scopes, v1alpha1.ScopeDefinition{Name: name})
		}
	}
}

func suspendedShop(s *v1alpha1.WorkspaceSpec)       { s.Suspended = true }
func suspendedRobot(s *v1alpha1.ServiceAccountSpec) { s.Suspended = true }
func onlyReading(s *v1alpha1.ServiceAccountSpec)    { s.Scopes = []v1alpha1.Scope{"read"} }
func limitedTo(name string) func(*v1alpha1.WorkspaceSpec) {
	return func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = refs(name) }
}

// What starts working again does so within its new bounds, at whatever point of the change
// a reader looks.
func TestNothingIsWiderThanBeforeAndAfterWhileAChangeIsMade(t *testing.T) {
	tests := map[string]struct {
		before, change func(*Index)
	}{
		"a Workspace resumed with a narrower catalogue": {
			func(x *Index) { x.SetWorkspace(shop(suspendedShop)) },
			func(x *Index) { x.SetWorkspace(shop(listing("read"))) },
		},
		"a Workspace suspended with a wider catalogue": {
			func(x *Index) { x.SetWorkspace(shop(listing("read"))) },
			func(x *Index) { x.SetWorkspace(shop(suspendedShop)) },
		},
		"a Workspace that appears": {
			func(x *Index) { x.DeleteWorkspace(in("shop")) },
			func(x *Index) { x.SetWorkspace(shop(listing("read"), limitedTo("l"))) },
		},
		"a Workspace resumed with a limit": {
			func(x *Index) { x.SetWorkspace(shop(suspendedShop, listing("read"))) },
			func(x *Index) { x.SetWorkspace(shop(listing("read"), limitedTo("l"))) },
		},
		"a ServiceAccount resumed with a lower ceiling": {
			func(x *Index) { x.SetServiceAccount(robot(suspendedRobot)) },
			func(x *Index) { x.SetServiceAccount(robot(onlyReading)) },
		},
		"a ServiceAccount suspended with a higher ceiling": {
			func(x *Index) { x.SetServiceAccount(robot(onlyReading)) },
			func(x *Index) { x.SetServiceAccount(robot(suspendedRobot)) },
		},
		"a ServiceAccount that appears": {
			func(x *Index) { x.DeleteServiceAccount(in("robot")) },
			func(x *Index) { x.SetServiceAccount(robot(onlyReading)) },
		},
		"a KeyLimit made again under its name": {
			func(x *Index) { x.SetWorkspace(shop(listing("read"), limitedTo("l"))) },
			func(x *Index) {
				again := perMinute("l", 1)
				again.UID = uid("again")
				x.SetKeyLimit(again)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := serving(t, key("k", ofRobot))
			x.SetApiKey(key("k2", ofRobot))
			other := token.HashOf("the other key")
			x.SetCredential(issuedFor("k2", other))
			x.SetKeyLimit(perMinute("l", 1))
			test.before(x)
			seen := watch(x, hash, other)
			test.change(x)
			seen.verify(t, x)
		})
	}
}

// The same, over whatever changes there can be.
func TestNoChangeIsEverSeenHalfMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, x := newCluster(), New()
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			before := model.identities()
			change := model.change(t)
			if remade(before, model.identities()) {
				// Two changes in one, and what lies between them may be seen.
				change(x)
				continue
			}
			seen := watch(x, hashes...)
			change(x)
			seen.verify(t, x)
		}
	})
}

func (c cluster) identities() map[string]types.UID {
	all := map[string]types.UID{}
	for name, o := range c.workspaces {
		all[name] = o.UID
	}
	for name, o := range c.accounts {
		all[name] = o.UID
	}
	for name, o := range c.limits {
		all[name] = o.UID
	}
	for name, o := range c.keys {
		all[name] = o.UID
	}
	return all
}

func remade(before, after map[string]types.UID) bool {
	for name, uid := range after {
		if was, ok := before[name]; ok && was != uid {
			return true
		}
	}
	return false
}

// watcher notes what readers see at each step of a change.
type watcher struct {
	seen map[token.Hash][]string
}

func watch(x *Index, hashes ...token.Hash) watcher {
	w := watcher{map[token.Hash][]string{}}
	look := func() {
		for _, h := range hashes {
			w.seen[h] = append(w.seen[h], granted(x, h))
		}
	}
	look()
	x.between = look
	return w
}

// verify fails where something was seen that was granted neither before nor after.
func (w watcher) verify(t interface{ Errorf(string, ...any) }, x *Index) {
	x.between = nil
	for _, h := range slices.SortedFunc(maps.Keys(w.seen), func(a, b token.Hash) int { return slices.Compare(a[:], b[:]) }) {
		before, after := w.seen[h][0], granted(x, h)
		for _, between := range w.seen[h][1:] {
			if between != before && between != after {
				t.Errorf("between %q and %q it was %q", before, after, between)
			}
		}
	}
}

// granted is all that a key may do, in words that can be compared; empty if it is refused.
func granted(x *Index, h token.Hash) string {
	var entry Entry
	x.Lookup(h, &entry)
	if policy.Check(&policy.Request{}, &entry.Record, now) != policy.CodeValid {
		return ""
	}
	c := entry.Class
	text := fmt.Sprint(entry.Key.ID, c.Workspace, c.Account, c.Scopes.List(), entry.Key.ExpiresAt)
	for _, l := range entry.Limits {
		text += fmt.Sprint(" ", l.Name, l.Rule.Rule)
	}
	return text
}

// Compiling one tenant's keys can take long, and no other's revocation may wait for its end.
func TestStoppingDoesNotWaitForTheKeysOfOthers(t *testing.T) {
	tests := map[string]struct {
		stop func(*Index)
		want policy.Code
	}{
		"an ApiKey revoked": {func(x *Index) {
			x.SetApiKey(key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked }))
		}, policy.CodeKeyRevoked},
		"an ApiKey deleted":          {func(x *Index) { x.DeleteApiKey(uid("k")) }, policy.CodeKeyInvalid},
		"a credential deleted":       {func(x *Index) { x.DeleteCredential(uid("k"), 1) }, policy.CodeKeyInvalid},
		"a ServiceAccount suspended": {func(x *Index) { x.SetServiceAccount(robot(suspendedRobot)) }, policy.CodeAccountSuspended},
		"a ServiceAccount deleted":   {func(x *Index) { x.DeleteServiceAccount(in("robot")) }, policy.CodeKeyInvalid},
		"a Workspace suspended":      {func(x *Index) { x.SetWorkspace(shop(suspendedShop)) }, policy.CodeWorkspaceSuspended},
		"a Workspace deleted":        {func(x *Index) { x.DeleteWorkspace(in("shop")) }, policy.CodeKeyInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := serving(t, key("k", ofRobot))
			x.SetApiKey(key("of another", func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef.Name = "other" }))
			x.SetCredential(issuedFor("of another", token.HashOf("another")))

			other := shop()
			other.ObjectMeta = meta("other")
			ended := make(chan struct{})
			x.between = func() {
				x.between = nil
				go func() {
					defer close(ended)
					test.stop(x)
				}()
				for check(x, hash) != test.want {
					runtime.Gosched() // for ever, if it has to wait for us
				}
			}
			x.SetWorkspace(other)
			<-ended
			if got := check(x, hash); got != test.want {
				t.Errorf("in the end the key is %s", got)
			}
		})
	}
}

// What was stopped amid a change that lets it go on stays stopped, until something newer is said.
func TestAStopAmidAChangeIsNotUndoneByIt(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(x *Index, suspended bool)
		stop func(*Index)
		want policy.Code
	}{
		"a Workspace": {
			func(x *Index, suspended bool) {
				x.SetWorkspace(shop(listing("read"), func(s *v1alpha1.WorkspaceSpec) { s.Suspended = suspended }))
			},
			func(x *Index) { x.StopWorkspace(in("shop")) }, policy.CodeWorkspaceSuspended,
		},
		"a ServiceAccount": {
			func(x *Index, suspended bool) {
				x.SetServiceAccount(robot(onlyReading, func(s *v1alpha1.ServiceAccountSpec) { s.Suspended = suspended }))
			},
			func(x *Index) { x.StopServiceAccount(in("robot")) }, policy.CodeAccountSuspended,
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := serving(t, key("k", ofRobot))
			x.between = func() {
				x.between = nil
				done := make(chan struct{})
				go func() {
					defer close(done)
					test.stop(x)
				}()
				<-done
			}
			test.set(x, false)
			if got := check(x, hash); got != test.want {
				t.Errorf("stopped amid a change it is %s", got)
			}
			test.set(x, false)
			if got := check(x, hash); got != policy.CodeValid {
				t.Errorf("resumed after that it is %s", got)
			}
		})
	}
}
