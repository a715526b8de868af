package token

import (
	"strings"
	"testing"
)

func TestAForeignKeyIsAnyVisibleTextThatIsNotTooLong(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "x": true, "a b": false, "a\n": false, "é": false, "\x7f": false, "!~": true, "sk-proj-1,2:3/=": true,
		strings.Repeat("x", MaxForeignLength): true, strings.Repeat("x", MaxForeignLength+1): false,
	} {
		if got := MayBeForeign(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
