package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestNewKeysHaveTheDocumentedForm(t *testing.T) {
	form := regexp.MustCompile(`^ak_live_[0-9A-Za-z]{32}$`)
	seen := map[string]bool{}
	for range 1000 {
		made := mustNew(t, "ak", "live")
		text := made.Reveal()
		if !form.MatchString(text) {
			t.Fatal("a new key does not have the documented form")
		}
		if seen[text] {
			t.Fatal("the same key was made twice")
		}
		seen[text] = true
		parsed, err := Parse(text)
		if err != nil || parsed != made {
			t.Fatalf("a new key cannot be read back: %v", err)
		}
	}
}

func TestRandomCharactersAreEvenlySpread(t *testing.T) {
	const samples = 62 * 4000
	counts := map[byte]int{}
	buffer := make([]byte, samples)
	fillRandom(buffer)
	for _, c := range buffer {
		counts[c]++
	}
	// 4000 ± 63 is one standard deviation; seven of them happen once in 10¹¹ runs.
	for i := range len(alphabet) {
		if n := counts[alphabet[i]]; n < 4000-450 || n > 4000+450 {
			t.Errorf("%q came up %d times in %d, want about 4000", alphabet[i], n, samples)
		}
	}
}

func TestNewRefusesWhatParseWouldNotRead(t *testing.T) {
	for _, head := range [][2]string{{"", "live"}, {"Ak", "live"}, {"1a", "live"}, {"a_b", "live"}, {strings.Repeat("a", 17), "live"}, {"ak", "prod"}, {"ak", ""}} {
		if _, err := New(head[0], head[1]); err == nil {
			t.Errorf("prefix %q, environment %q: no error", head[0], head[1])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := mustNew(t, "ak", "live").Reveal()
	tests := map[string]struct {
		text string
		want error
	}{
		"nothing":                  {"", ErrFormat},
		"a word":                   {"hunter2", ErrFormat},
		"no prefix":                {good[2:], ErrFormat},
		"another environment":      {strings.Replace(good, "_live_", "_prod_", 1), ErrFormat},
		"a key that was cut":       {good[:len(good)-1], ErrFormat},
		"a key with a tail":        {good + "x", ErrFormat},
		"a space at the end":       {good + " ", ErrFormat},
		"a line break":             {good[:20] + "\n" + good[21:], ErrFormat},
		"a letter with an accent":  {good[:38] + "é", ErrFormat},
		"a megabyte":               {strings.Repeat("a", 1<<20), ErrFormat},
		"live turned to test":      {strings.Replace(good, "_live_", "_test_", 1), ErrChecksum},
		"another prefix":           {"b" + good[1:], ErrChecksum},
		"two characters exchanged": {swapTwo(good), ErrChecksum},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(test.text); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestEverySingleChangedCharacterIsNoticed(t *testing.T) {
	good := mustNew(t, "vk", "test").Reveal()
	for i := range len(good) {
		for _, c := range []byte(alphabet) {
			changed := []byte(good)
			if changed[i] == c {
				continue
			}
			changed[i] = c
			if _, err := Parse(string(changed)); err == nil {
				t.Fatalf("character %d changed and not noticed", i)
			}
		}
	}
}

func TestChecksumIsCRC32(t *testing.T) {
	for _, text := range []string{"", "a", "ak_live_", "ak_live_0123456789ABCDEFGHIJKLMNOP"} {
		want := crc32.ChecksumIEEE([]byte(text))
		got := uint32(0)
		for _, c := range checksum(text) {
			got = got*62 + uint32(strings.IndexByte(alphabet, c))
		}
		if got != want {
			t.Errorf("%q: %08x, want %08x", text, got, want)
		}
	}
}

func TestHashIsTheSameHoweverTheTextIsHeld(t *testing.T) {
	long := strings.Repeat("k", MaxLength+1)
	for _, text := range []string{"", "k", long[:MaxLength], long} {
		if HashOf(text) != HashOf(string([]byte(text))) {
			t.Errorf("%d bytes hash differently", len(text))
		}
	}
	if HashOf(long) == HashOf(long[:MaxLength]) {
		t.Error("a longer text hashes like its beginning")
	}
}

func TestHintShowsTheHeadAndFourCharacters(t *testing.T) {
	made := mustNew(t, "ak", "live")
	if want := "ak_live_…" + made.text[len(made.text)-4:]; made.Hint() != want {
		t.Errorf("hint %q, want %q", made.Hint(), want)
	}
	if (Token{}).Hint() != "" {
		t.Error("no key has a hint")
	}
}

func TestNothingPrintsAKeyOrAHash(t *testing.T) {
	made := mustNew(t, "ak", "live")
	hash := made.Hash()
	secrets := []string{made.Reveal(), made.Reveal()[8:], fmt.Sprintf("%x", [HashSize]byte(hash)), fmt.Sprint([HashSize]byte(hash))}
	type holder struct {
		Token *Token
		Hash  Hash
	}
	for _, value := range []any{made, &made, hash, &hash, holder{&made, hash}, []any{made, hash}, map[string]any{"a": made, "b": hash}} {
		var shown []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "value", value)
		shown = append(shown, string(encoded), log.String())
		for _, text := range shown {
			for _, secret := range secrets {
				if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
					t.Errorf("%T shows itself", value)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ak_live_0123456789ABCDEFGHIJKLMNOPabcdef")
	f.Add("ak_live_")
	f.Add("__\x00")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			if text != "" && strings.Contains(err.Error(), text) && len(text) > 4 {
				t.Error("the error repeats what was given")
			}
			return
		}
		if parsed.Reveal() != text || parsed.Hash() != HashOf(text) {
			t.Error("what was read is not what was given")
		}
	})
}

// The path of a request: reading and hashing a key must not allocate.
func TestParseAndHashDoNotAllocate(t *testing.T) {
	text := mustNew(t, "ak", "live").Reveal()
	if n := testing.AllocsPerRun(100, func() {
		parsed, _ := Parse(text)
		_ = parsed.Hash()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func mustNew(t *testing.T, prefix, environment string) Token {
	t.Helper()
	made, err := New(prefix, environment)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// swapTwo exchanges the first two neighbouring characters of the body that differ.
func swapTwo(text string) string {
	b := []byte(text)
	for i := len("ak_live_"); ; i++ {
		if b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			return string(b)
		}
	}
}
