package gateways

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// Where the guides put things; the tests put them on free ports of this machine.
const (
	guideVerifier = "127.0.0.1:8080"
	guideExtAuthz = "127.0.0.1:9191"
	guideUpstream = "127.0.0.1:9000"
	guideGateway  = ":8000"
)

// block returns the fenced block of a guide in docs/guides that follows the line
// `<!-- test: name -->`. What readers copy is what is tested.
func block(t *testing.T, guide, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(controlplane.RepositoryRoot(), "docs", "guides", guide))
	if err != nil {
		t.Fatal(err)
	}
	marker := "<!-- test: " + name + " -->\n"
	_, rest, found := strings.Cut(string(content), marker)
	if !found || strings.Contains(rest, marker) {
		t.Fatalf("docs/guides/%s must have %q exactly once", guide, strings.TrimSpace(marker))
	}
	fence, rest, _ := strings.Cut(rest, "\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !strings.HasPrefix(fence, "```") || !closed {
		t.Fatalf("docs/guides/%s: a fenced block must follow %q", guide, strings.TrimSpace(marker))
	}
	return text + "\n"
}

// replace puts what stands in for the addresses of a guide into its text. Each of them must
// be there: else the guide would be tested against something that it does not name.
func replace(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the guide does not name %s:\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}
