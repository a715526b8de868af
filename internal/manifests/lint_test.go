package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lint(t *testing.T, text string) Findings {
	t.Helper()
	found, err := Lint([]string{Stdin}, strings.NewReader(text), "team", time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const lintShop = "apiVersion: keys.claviger.dev/v1alpha1\nkind: Workspace\nmetadata: {name: shop}\nspec: {scopes: [{name: a}], keys: {defaultTTL: 1h}}\n"

func lintKey(name, spec string) string {
	return "---\napiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {" + name + "}\nspec: {workspaceRef: {name: shop}" + spec + "}\n"
}

func TestLintKeepsNamespacesApart(t *testing.T) {
	// In the one that is given the catalogue is known; in another one it is not.
	if found := lint(t, lintShop+lintKey("name: k", `, scopes: [b]`)); len(found.Mistakes) != 1 {
		t.Errorf("%v", found.Mistakes)
	}
	found := lint(t, lintShop+lintKey("name: k, namespace: team", `, scopes: [a]`)+lintKey("name: k, namespace: other", `, scopes: [b]`))
	if len(found.Mistakes) != 0 || len(found.Warnings) != 1 || !strings.Contains(found.Warnings[0].Text, "is not among these manifests") {
		t.Errorf("%v, %v", found.Mistakes, found.Warnings)
	}
}

func TestLintTakesAListApart(t *testing.T) {
	found := lint(t, `{"apiVersion":"v1","kind":"List","items":[
 {"apiVersion":"keys.claviger.dev/v1alpha1","kind":"Workspace","metadata":{"name":"shop"},"status":{"id":"team/shop"}},
 {"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}},
 {"apiVersion":"keys.claviger.dev/v1alpha1","kind":"ApiKey","metadata":{"name":"k"},"spec":{"workspaceRef":{"name":"shop"},"environment":"prod"}},
 7]}`)
	if found.Objects != 2 || found.Skipped["v1 Secret"] != 1 || len(found.Mistakes) != 2 || !strings.HasPrefix(found.Mistakes[0].Text, "spec.environment: ") || found.Mistakes[0].Line != 4 {
		t.Errorf("%+v", found)
	}
}

func TestLintGoesOnAfterAMistake(t *testing.T) {
	found := lint(t, "kind: [\n---\n"+lintShop+lintKey("name: one", `, scopes: [b]`)+lintKey("name: two", `, ttl: soon`)+lintKey("name: two", ``))
	if len(found.Mistakes) != 3 {
		t.Errorf("%v", found.Mistakes)
	}
}

func TestLintSaysWhatCannotBeRead(t *testing.T) {
	directory := t.TempDir()
	link := filepath.Join(directory, "gone.yaml")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(directory, "absent"), directory} {
		found, err := Lint([]string{path}, nil, "", time.Now())
		if err != nil || len(found.Mistakes) != 1 || !strings.HasPrefix(found.Mistakes[0].File, filepath.ToSlash(directory)) {
			t.Errorf("%s: %+v, %v", path, found, err)
		}
	}
}

func FuzzLint(f *testing.F) {
	f.Add(lintShop + lintKey("name: k", `, scopes: [b]`))
	f.Add("kind: List\napiVersion: v1\nitems: [{}]")
	f.Add("metadata: {namespace: 7}\napiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Lint([]string{Stdin}, strings.NewReader(text), "team", time.Unix(0, 0)); err != nil {
			t.Error(err)
		}
	})
}
