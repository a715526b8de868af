package keyid

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), Size, Size).Draw(t, "id"))
		if id.IsZero() {
			return
		}
		back, err := Parse(id.String())
		if err != nil || back != id {
			t.Fatalf("%v came back as %v, %v", id, back, err)
		}
	})
}

func TestParseKnowsOneFormOnly(t *testing.T) {
	for _, text := range []string{
		"", "key-1", "123E4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000",
		"123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-4266141740000",
		"123e4567-e89b-12d3-a456_426614174000", "g23e4567-e89b-12d3-a456-426614174000",
		"{23e4567-e89b-12d3-a456-42661417400}", "12-e4567-e89b-12d3-a456-426614174000",
		"-aa-aaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "123e4567-e89b-12d3-a456-4266141740-0",
	} {
		if id, err := Parse(text); err == nil {
			t.Errorf("%q was read as %v", text, id)
		}
	}
}

func TestZeroHasNoText(t *testing.T) {
	if text := (ID{}).String(); text != "" {
		t.Errorf("the zero ID reads %q", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("123e4567-e89b-12d3-a456-426614174000")
	f.Add("-aa-aaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := Parse(text); err == nil && id.String() != text && !id.IsZero() {
			t.Errorf("%q was read as %v", text, id)
		}
	})
}
