// Package secretscanning checks the rules for secret scanners that are in config/secret-scanning.
package secretscanning_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/uuid"

	"github.com/claviger-dev/claviger/internal/token"
)

func newKey(t *testing.T, prefix, environment string) string {
	t.Helper()
	made, err := token.New(prefix, environment)
	if err != nil {
		t.Fatal(err)
	}
	return made.Reveal()
}

// surroundings are where keys turn up. @ stands for one.
var surroundings = []string{
	"@",
	"@\n",
	"\n@\r\n",
	`const key = "@"`,
	`key := '@';`,
	"key = `@`",
	`{"apiKey":"@","other":1}`,
	`{\"apiKey\":\"@\"}`,
	"API_KEY=@",
	"export API_KEY='@' # of production",
	"  api-key: @",
	"https://api.example.com/v1/orders?api_key=@&page=2",
	"https://api.example.com/v1/orders?next=%2Fa%3Fkey%3D@%26page%3D2",
	"https://@:x%40api.example.com/",
	"curl -H 'X-API-Key: @' https://api.example.com",
	"Authorization: Bearer @",
	`"first line\n@\nlast line"`,
	`"\t@\t"`,
	"+@",
	"<key>@</key>",
	"the key (@).",
	"_@_",
	"old_@",
	"ключ@",
}

func TestKeysAreFoundWhereverTheyStand(t *testing.T) {
	prefixes := []string{"a", "ak", "pat", "vk", "k8s", "x9", "live", "test", strings.Repeat("p", token.MaxPrefixLength)}
	for name, s := range scanners(t) {
		for _, prefix := range prefixes {
			for _, environment := range []string{"live", "test"} {
				for _, around := range surroundings {
					key := newKey(t, prefix, environment)
					text := strings.ReplaceAll(around, "@", key)
					if found := s.find(text); !slices.Equal(found, []string{key}) {
						t.Errorf("%s finds %q in %q", name, found, text)
					}
				}
			}
		}
	}
}

func TestKeysAreFoundSideBySide(t *testing.T) {
	for name, s := range scanners(t) {
		for _, separator := range []string{"\n", ",", " ", ":", "\t\t", `\n`} {
			keys := []string{newKey(t, "ak", "live"), newKey(t, "ak", "test"), newKey(t, "pat", "live")}
			if found := s.find(strings.Join(keys, separator)); !slices.Equal(found, keys) {
				t.Errorf("%s finds %q of three keys with %q between them", name, found, separator)
			}
		}
	}
}

// Of this many, one that the entropy left out by chance would be seen. A long prefix of few letters has the least.
func TestNoRandomKeyIsTakenForAPlaceholder(t *testing.T) {
	least, all := 8.0, scanners(t)
	for _, prefix := range []string{"ak", strings.Repeat("p", token.MaxPrefixLength)} {
		for range 20000 {
			key := newKey(t, prefix, "live")
			least = min(least, entropy(key))
			for name, s := range all {
				if len(s.find(key)) != 1 {
					t.Fatalf("%s does not find %s", name, key)
				}
			}
		}
	}
	if least < 3.25 {
		t.Errorf("the least of the entropies is %.2f: too near to the threshold", least)
	}
}

func TestWhatIsNoKeyIsNotFound(t *testing.T) {
	body := newKey(t, "ak", "live")[len("ak_live_"):]
	random := func(n int) string {
		text := ""
		for len(text) < n {
			text += newKey(t, "ak", "live")[len("ak_live_"):]
		}
		return text[:n]
	}
	sealed := seal(t, newKey(t, "ak", "live"))
	if !strings.Contains(sealed, "AGE ENCRYPTED") {
		t.Fatal("nothing was sealed")
	}
	raw := make([]byte, 3000)
	rand.Read(raw) //nolint:errcheck // it does not fail
	for name, s := range scanners(t) {
		for what, text := range map[string]string{
			"a hint":                        "the key ak_live_…x7Qz was revoked; ak_live_...x7Qz",
			"the documented example":        "KEY=ak_test_PublishedDemoKeyDoNotUseIt07q7PL",
			"a placeholder":                 "ak_live_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ak_test_00000000000000000000000000000000",
			"a placeholder in words":        "ak_live_<your key> ak_live_YOUR_KEY ak_live_$KEY ak_live_{{ .Key }}",
			"one too short":                 "ak_live_" + body[:31],
			"one too long":                  "ak_live_" + body + "A",
			"another environment":           "ak_prod_" + body + " ak_LIVE_" + body + " ak_livetest_" + body,
			"no prefix":                     "_live_" + body + " live_" + body,
			"a prefix too long":             strings.Repeat("p", token.MaxPrefixLength+1) + "_live_" + body,
			"a prefix that begins with 1":   "1ak_live_" + body,
			"capitals in the prefix":        "AK_live_" + body + " Ak_live_" + body,
			"other characters":              "ak_live_" + body[:16] + "-" + body[17:],
			"a UUID":                        "sk_live_" + uuid.NewString(),
			"a UUID alone":                  uuid.NewString(),
			"the key's ID":                  "key-id: " + uuid.NewString(),
			"a hash":                        "sha256:" + hex.EncodeToString(raw[:32]),
			"a hash in a name":              "report_test_" + hex.EncodeToString(raw[:20]) + ".json snapshot_live_" + hex.EncodeToString(raw[:32]),
			"the key's hash in base64":      base64.StdEncoding.EncodeToString(raw[:32]),
			"a name":                        "func Test_live_reload_and_test_something_that_is_quite_long_indeed()",
			"Stripe's secret key":           "sk_live_" + random(24) + " rk_test_" + random(24) + " pk_live_" + random(24),
			"Stripe's longer secret key":    "sk_live_" + random(99) + " sk_test_" + random(99),
			"GitHub's tokens":               "ghp_" + random(36) + " github_pat_" + random(22) + "_" + random(59) + " ghs_" + random(36),
			"what age made of a key":        sealed,
			"base64 of whatever":            base64.StdEncoding.EncodeToString(raw),
			"base64 for URLs, of whatever":  base64.RawURLEncoding.EncodeToString(raw),
			"a key in base64, as in Secret": base64.StdEncoding.EncodeToString([]byte("ak_live_" + body)),
		} {
			if found := s.find(text); len(found) > 0 {
				t.Errorf("%s takes %s for %q", name, what, found)
			}
		}
	}
}

func TestBothScannersHaveTheSameRule(t *testing.T) {
	a, b := gitleaks(t), trufflehog(t)
	if a.regex.String() != b.regex.String() || a.entropy != b.entropy || !slices.Equal(a.keywords, b.keywords) {
		t.Errorf("gitleaks has %q, %v, %q, and trufflehog %q, %v, %q", a.regex, a.entropy, a.keywords, b.regex, b.entropy, b.keywords)
	}
}

// seal encrypts a text as sealed delivery does.
func seal(t *testing.T, text string) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	plain, err := age.Encrypt(armored, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(plain, text); err != nil {
		t.Fatal(err)
	}
	if plain.Close() != nil || armored.Close() != nil {
		t.Fatal("sealing did not end")
	}
	return out.String()
}
