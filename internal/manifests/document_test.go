package manifests

import (
	"fmt"
	"strings"
	"testing"
)

// A few aliases must not fill the memory of a machine, whatever they stand for.
func TestAliasesAreBounded(t *testing.T) {
	const large = 1 << 20
	text := "a: &a \"" + strings.Repeat("x", large) + "\"\n"
	for name, tt := range map[string]struct {
		text  string
		wrong bool
	}{
		"a few of a long text":      {text + "b: [" + strings.Repeat("*a,", 10) + "]\n", false},
		"many of a long text":       {text + "b: [" + strings.Repeat("*a,", 400) + "]\n", true},
		"many in several documents": {strings.Repeat(text+"b: ["+strings.Repeat("*a,", 8)+"]\n---\n", 3), true},
		"of aliases": {"a: &a [" + strings.Repeat("x,", 100) + "]\nb: &b [" + strings.Repeat("*a,", 100) + "]\nc: &c [" +
			strings.Repeat("*b,", 100) + "]\nd: [" + strings.Repeat("*c,", 100) + "]\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, mistakes := documents(file{"a.yaml", []byte(tt.text)})
			const want = "with its aliases written out the file is larger than 16 MiB"
			if got := strings.Contains(mistakes.Error(), want); got != tt.wrong {
				t.Errorf("got %v", mistakes)
			}
		})
	}
}

// However many mistakes there are in a document, it is parsed once to find their lines.
func TestADocumentIsParsedOnceForAllItsMistakes(t *testing.T) {
	var list strings.Builder
	list.WriteString("apiVersion: v1\nkind: List\nitems:\n")
	for i := range 2000 {
		fmt.Fprintf(&list, "- apiVersion: keys.claviger.dev/v1alpha1\n  kind: ApiKey\n  metadata: {name: k%d}\n  spec: {workspaceRef: {name: shop}}\n", i)
	}
	all, mistakes := documents(file{"keys.yaml", []byte(list.String())})
	if len(all) != 1 || len(mistakes) > 0 {
		t.Fatal(len(all), mistakes)
	}
	items := [2]origin{all[0].origin, all[0].origin}
	items[0].at, items[1].at = "items[1]", "items[1999]"
	if first, last := items[0].lineOf("spec.workspaceRef.name"), items[1].lineOf("metadata"); first != 11 || last != 4+4*1999+2 {
		t.Errorf("found at %d and %d", first, last)
	}
	parsed := all[0].tree.root
	if parsed == nil || items[1].tree.of(nil) != parsed {
		t.Error("it is parsed again for each")
	}

	found := files{"keys.yaml": list.String()}.load(t)
	if len(found.mistakes) != maxMistakes || found.mistakes[0].Line != 7 {
		t.Errorf("there are %d, the first is %v", len(found.mistakes), found.mistakes[0])
	}
}
