package manifests

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/token"
)

// However an index came to a state, it answers as one that was filled with it at once.
func TestThePathToAStateMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		followed, before := keyindex.New(), newState()
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			next := drawState(t)
			if err := apply(followed, before, next); err != nil {
				t.Fatal(err)
			}
			before = next
		}
		fresh := keyindex.New()
		if err := apply(fresh, newState(), before); err != nil {
			t.Fatal(err)
		}
		if followed.Counts() != fresh.Counts() {
			t.Errorf("it holds %+v, want %+v", followed.Counts(), fresh.Counts())
		}
		for n := range materials {
			if got, want := answer(followed, n), answer(fresh, n); !reflect.DeepEqual(got, want) {
				t.Errorf("key %d is answered with %v, want %v", n, got, want)
			}
		}
	})
}

// materials is how many keys there may be; each ApiKey has one of them.
const materials = 4

func materialHash(n int) (hash token.Hash) {
	hash[0] = byte(n + 1)
	return hash
}

func drawState(t *rapid.T) *state {
	flip := func(name string) bool { return rapid.Bool().Draw(t, name) }
	workspace := shop
	if flip("suspended") {
		workspace = strings.Replace(shop, "spec:\n", "spec:\n  suspended: true\n", 1)
	}
	workspace = strings.Replace(workspace, "100", rapid.SampledFrom([]string{"10", "20"}).Draw(t, "requests"), 1)
	documents := []string{workspace}
	for i, n := range rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "materials")[:3] {
		if !flip("declared") {
			continue
		}
		name := fmt.Sprintf("name: k%d", i)
		key := strings.Replace(checkout, "name: checkout", name, 1)
		if flip("another") {
			name += fmt.Sprintf(", uid: 6ef1a3c0-3b7e-4f27-9c7e-0e8f5a4d2b1%d", i)
			key = strings.Replace(checkout, "name: checkout", name, 1)
		}
		if flip("unlimited") {
			key = strings.Replace(key, "  limitRefs: [{name: standard}]\n", "", 1)
		}
		if flip("disabled") {
			key += "  state: Disabled\n"
		}
		hash := materialHash(n)
		secret := strings.Replace(checkoutHash, "name: checkout", fmt.Sprintf("name: k%d", i), 1)
		documents = append(documents, key, strings.Replace(secret, demoSHA256, `"`+hex.EncodeToString(hash[:])+`"`, 1))
	}
	found, err := load(content{files: []file{{"all.yaml", []byte(strings.Join(documents, "---\n"))}}}, noon)
	if err != nil || len(found.mistakes) > 0 {
		t.Fatal(err, found.mistakes)
	}
	return found.state
}

// answer is what an index says of a key, in a form that can be compared.
func answer(x *keyindex.Index, n int) []any {
	var entry keyindex.Entry
	if !x.Lookup(materialHash(n), &entry) {
		return nil
	}
	said := []any{policy.Check(&policy.Request{AllOf: []string{"orders:read"}}, &entry.Record, noon), entry.Key.Name}
	for i := range entry.Limits {
		said = append(said, entry.Limits[i].Name, entry.Limits[i].Rule.Rule)
	}
	return said
}
