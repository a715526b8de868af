package keyindex

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// While thousands of others come and go, and with them tables grow, records are used again and
// names are written anew, a key that stays is always found, as itself; and one that is gone never is.
func TestKeysThatStayAreFoundWhateverComesAndGoes(t *testing.T) {
	x := New()
	x.SetWorkspace(shop())
	const stay, rounds, crowd = 50, 40, 3000
	name := func(kind string, n int) string { return fmt.Sprint(kind, n) }
	stays := map[types.UID]bool{}
	for n := range stay {
		stays[uid(name("stays", n))] = true
		x.SetApiKey(key(name("stays", n)))
		x.SetCredential(issuedFor(name("stays", n), token.HashOf(name("stays", n))))
	}
	gone := token.HashOf("gone")
	x.SetApiKey(key("gone"))
	x.SetCredential(issuedFor("gone", gone))
	x.DeleteApiKey(uid("gone"))

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var e Entry
			for n := 0; ; n = (n + 1) % stay {
				select {
				case <-done:
					return
				default:
				}
				if want := name("stays", n); !x.Lookup(token.HashOf(want), &e) || e.Key.Name != want {
					t.Errorf("%s was answered with %q", want, e.Key.Name)
					return
				}
				if x.Lookup(gone, &e) {
					t.Error("a deleted key was found")
					return
				}
			}
		})
	}
	long := strings.Repeat("A long name to be called by. ", 6)
	for round := range rounds {
		for n := range crowd {
			k := key(name("comes", n), func(s *v1alpha1.ApiKeySpec) { s.DisplayName = long + fmt.Sprint(round) })
			x.SetApiKey(k)
			x.SetCredential(issuedFor(k.Name, token.HashOf(k.Name)))
		}
		if round%2 == 0 {
			x.RetainApiKeys(func(id types.UID) bool { return stays[id] })
			x.RetainCredentials(func(id types.UID, _ int) bool { return stays[id] })
		}
	}
	close(done)
	readers.Wait()
	if x.names.live > 2*(stay+crowd)*len(long) || x.names.dead > x.names.live+32*blockSize {
		t.Errorf("%d bytes of names are in use, and %d are not", x.names.live, x.names.dead)
	}
}
