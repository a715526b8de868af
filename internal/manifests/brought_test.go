package manifests

import (
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// foreignKey looks like one of ours, but has no checksum.
const foreignKey = "ak_live_7fQ2mZ9xW4kT1vB8nR5cJ3hL6pD0sGyA"

const sourceByHash = "  source: {sha256: " + demoSHA256 + ", hint: ak_live_…iZUh}\n"

func sourceSecret(text string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: old}\nstringData: {token: \"" + text + "\"}\n"
}

const sourceByRef = "  source: {secretRef: {name: old, key: token}}\n"

func TestAnApiKeyBringsItsKeyAlong(t *testing.T) {
	created := strings.Replace(checkout, "{name: checkout}", "{name: checkout, creationTimestamp: \"2026-11-01T00:00:00Z\"}", 1)
	for name, test := range map[string]struct {
		files files
		want  credential.Credential
	}{
		"by its hash": {
			files{"key.yaml": checkout + sourceByHash},
			credential.Credential{Hash: token.HashOf(demoKey), Hint: "ak_live_…iZUh", Foreign: true, IssuedAt: time.Unix(0, 0)},
		},
		"by its hash, and lives for a time": {
			files{"key.yaml": created + "  ttl: 720h\n" + sourceByHash},
			credential.Credential{Hash: token.HashOf(demoKey), Hint: "ak_live_…iZUh", Foreign: true, IssuedAt: noon.AddDate(0, 0, -20).Truncate(24 * time.Hour)},
		},
		"in a Secret": {
			files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret(foreignKey)},
			credential.Credential{Hash: token.HashOf(foreignKey), Foreign: true, IssuedAt: time.Unix(0, 0)},
		},
		"in a Secret, and it is of our format": {
			files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret(demoKey)},
			credential.Credential{Hash: token.HashOf(demoKey), Hint: "ak_live_…iZUh", IssuedAt: time.Unix(0, 0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["shop.yaml"] = shop
			found := test.files.load(t)
			if len(found.mistakes) > 0 || len(found.warnings) > 0 || len(found.state.credentials) != 1 {
				t.Fatalf("mistakes %v, warnings %v, %d credentials", found.mistakes, found.warnings, len(found.state.credentials))
			}
			for _, c := range found.state.credentials {
				if c.Hash != test.want.Hash || c.Hint != test.want.Hint || c.Foreign != test.want.Foreign || c.Generation != 1 || !c.IssuedAt.Equal(test.want.IssuedAt) {
					t.Errorf("got %+v, want %+v", c, test.want)
				}
			}
		})
	}
}

func TestWhatCannotBeBroughtAlongIsAMistake(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  string
	}{
		"no such Secret":      {files{"key.yaml": checkout + sourceByRef}, "spec.source.secretRef.name"},
		"nothing in it":       {files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret("")}, "holds nothing under token"},
		"a line break":        {files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret(foreignKey + "\\n")}, "without a line break"},
		"too long":            {files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret(strings.Repeat(foreignKey, 20))}, "at most 512"},
		"guessable":           {files{"key.yaml": checkout + sourceByRef, "old.yaml": sourceSecret("changeme-changeme-changeme")}, "could be guessed"},
		"ttl without a start": {files{"key.yaml": checkout + "  ttl: 720h\n" + sourceByHash}, "metadata.creationTimestamp"},
		"two with one hash": {
			files{"key.yaml": checkout + sourceByHash, "other.yaml": strings.Replace(checkout, "name: checkout", "name: other", 1) + sourceByHash},
			"holds the same key as",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["shop.yaml"] = shop
			err := test.files.load(t).mistakes.Error()
			if !strings.Contains(err, test.want) || strings.Contains(err, foreignKey) || strings.Contains(err, demoSHA256) {
				t.Errorf("the mistakes are %q, want %q in them, and no key", err, test.want)
			}
		})
	}
}

func TestItWarnsOfWhatOnlyAnOperatorDoes(t *testing.T) {
	found := files{"shop.yaml": shop, "hash.yaml": checkoutHash, "key.yaml": checkout + "  rotation: {every: 720h}\n"}.load(t)
	if len(found.mistakes) > 0 || len(found.warnings) != 1 || !strings.Contains(found.warnings[0], "spec.rotation.every") {
		t.Errorf("mistakes %v, warnings %v", found.mistakes, found.warnings)
	}
}
