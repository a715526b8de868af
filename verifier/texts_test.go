package verifier

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzStorable(f *testing.F) {
	for _, seed := range []string{"", "property/4711", "1234567\x1f", "1234567\x7f", "1234567\x80", "\x00234567\xff~ ", "grüße", "\x1f\xff345678", strings.Repeat("ä", 300), strings.Repeat("a", 513)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) && len(text) <= MaxText
		if fits(text) != plain {
			t.Errorf("%q fits: %t", text, fits(text))
		}
		got := storable(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) || len(got) > MaxText || storable(got) != got {
			t.Errorf("%q becomes %q", text, got)
		}
		if good := utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) && len(text) <= MaxText; good && got != text {
			t.Errorf("%q, which is good as it is, becomes %q", text, got)
		}
	})
}

func TestAGoodTextTakesNoMemory(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		kept("property/4711", "sk-9f8e7d6c5b4a3928")
		kept("grüße", "")
		keptID("SNEEYTM7S3FAXEDBGHUNFFRD", "")
	}); n > 0 {
		t.Errorf("it takes %v allocations", n)
	}
}
