package verifier_test

import (
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

func TestKeysOfOtherFormatsWork(t *testing.T) {
	long := strings.Repeat("a1B2c3D4", 64)
	for name, test := range map[string]struct {
		key  string
		want verifier.Code
	}{
		"one that looks like ours, without our checksum": {"ak_live_7fQ2mZ9xW4kT1vB8nR5cJ3hL6pD0sGyA", verifier.CodeValid},
		"one with signs":       {"sk-proj:9f/8+7=,~!", verifier.CodeValid},
		"the longest":          {long, verifier.CodeValid},
		"a longer one":         {long + "x", verifier.CodeKeyInvalid},
		"one with a blank":     {"9f8e7d6c 5b4a39281706", verifier.CodeKeyInvalid},
		"one that is no ASCII": {"schlüssel-9f8e7d6c5b4a", verifier.CodeKeyInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			index := indextest.New()
			ours := indextest.Issue(t, index, "ours")
			v, err := verifier.New(verifier.Options{Index: index})
			if err != nil {
				t.Fatal(err)
			}
			code := func(key string) verifier.Code { return v.Verify(t.Context(), verifier.Request{Key: key}).Code }
			if got := code(test.key); got != verifier.CodeKeyInvalid || v.Foreign(test.key) {
				t.Errorf("before it was brought along it is %s", got)
			}
			indextest.Bring(t, index, "brought", test.key)
			if got := code(test.key); got != test.want || v.Foreign(test.key) != (test.want == verifier.CodeValid) {
				t.Errorf("it is %s, want %s", got, test.want)
			}
			if code(ours) != verifier.CodeValid || v.Foreign(ours) {
				t.Error("a key of ours does not work beside it, or is taken for another's")
			}
			if got := code(ours + "x"); got != verifier.CodeKeyInvalid {
				t.Errorf("a mistyped key of ours is %s", got)
			}
		})
	}
}
