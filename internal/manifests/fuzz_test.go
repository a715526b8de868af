package manifests

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is in a file, there is an answer, it points into the file, and what is wrong grants
// nothing.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		shop, checkout, checkoutHash, checkoutSecret, "{}", "a: &a [*a]", "---\n--- {}\n...\n", "%YAML 1.1\n---\n", "0S-{:\r: {:G:-:GS-\n---\r- -",
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List"},1]}`,
		"apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: null\nspec: []\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range []string{"a.yaml", "a.json"} {
			found, err := load(content{files: []file{{name, text}, {"shop.yaml", []byte(shop)}}}, noon)
			if err != nil {
				t.Fatal(err)
			}
			// What breaks a line in YAML 1.1.
			lines := 1
			for _, r := range string(text) {
				if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
					lines++
				}
			}
			for _, m := range found.mistakes {
				if m.File == name && (m.Line < 0 || m.Line > lines) {
					t.Errorf("%s, in a file of %d lines", m, lines)
				}
			}
		}
	})
}

// The order in which files come makes no difference, and neither does how they are cut.
func TestHowManifestsAreSpreadOverFilesMakesNoDifference(t *testing.T) {
	documents := append(strings.Split(shop, "---\n"), checkout, checkoutHash,
		strings.ReplaceAll(checkout, "name: checkout", "name: other"))
	rapid.Check(t, func(t *rapid.T) {
		texts := map[string][]string{}
		for _, d := range rapid.Permutation(documents).Draw(t, "documents") {
			name := rapid.SampledFrom([]string{"a.yaml", "b.yml", "c/d.yaml"}).Draw(t, "file")
			texts[name] = append(texts[name], d)
		}
		var read content
		for name, parts := range texts {
			read.files = append(read.files, file{name, []byte(strings.Join(parts, "---\n"))})
		}
		found, err := load(read, noon)
		if err != nil || len(found.mistakes) > 0 {
			t.Fatal(err, found.mistakes)
		}
		if len(found.state.keys) != 2 || len(found.state.credentials) != 1 || len(found.state.limits) != 1 || len(found.state.workspaces) != 1 {
			t.Errorf("got %+v", found.state)
		}
	})
}
