package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func read(text string) *Reader {
	r := &Reader{}
	r.Reset([]byte(text))
	return r
}

var seeds = []string{
	`""`, `"plain"`, `"\u0041\n\/\\\""`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83dx"`, "\"\xff\xc3\x28\"", "\"a\x00\"", `"\x"`, `"\u12"`, `"\`, `"`,
	"\"\u2028<&>\u2029\"", "\"\xed\xa0\x80\"", "\"\ufffd\"", "\"\x7f\"",
	`0`, `-0`, `01`, `-`, `1.0`, `1.`, `.5`, `1e3`, `1E+`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`, `99999999999999999999`,
	`null`, `nul`, `true`, `tru`, `false`, `{}`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{1:2}`, `[]`, `[1,2]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `{`, "\xef\xbb\xbf{}", " \t\r\n1 ", "1\v", "1 1", "",
	`{"a":[{"b":[[[]]]}],"c":{"d":{}}}`,
}

func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := read(string(data))
		switch raw, err := r.Raw(); {
		case errors.Is(err, ErrDepth):
		case (err == nil && r.End()) != json.Valid(data):
			t.Errorf("Raw: %v, at the end: %t, but valid: %t", err, r.End(), json.Valid(data))
		case err == nil && !json.Valid(raw):
			t.Errorf("Raw went over %q", raw)
		}
		compare(t, data, (*Reader).Text)
		compare(t, data, (*Reader).Int)
		compare(t, data, (*Reader).Bool)
		compare(t, data, texts)
		compare(t, data, numbers)
	})
}

// compare reads a whole text as a type by both.
func compare[T any](t *testing.T, data []byte, by func(*Reader) (T, error)) {
	t.Helper()
	r := read(string(data))
	got, err := by(r)
	ok := err == nil && r.End()
	var want T
	if wanted := json.Unmarshal(data, &want); ok != (wanted == nil) {
		t.Fatalf("%q: %v, encoding/json: %v", data, err, wanted)
	}
	if !ok {
		return
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Fatalf("%q read as %s, want %s", data, a, b)
	}
}

func texts(r *Reader) ([]string, error) {
	some, err := r.List()
	if !some {
		return nil, err
	}
	list := []string{}
	for {
		if more, err := r.Item(); !more || err != nil {
			return list, err
		}
		text, err := r.Text()
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
}

func numbers(r *Reader) (map[string]int64, error) {
	some, err := r.Object()
	if !some {
		return nil, err
	}
	numbers := map[string]int64{}
	for {
		field, more, err := r.Field()
		if !more || err != nil {
			return numbers, err
		}
		name := string(field)
		if numbers[name], err = r.Int(); err != nil {
			return nil, err
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendString([]byte("x"), s); string(got) != "x"+string(want) || string(AppendString(nil, []byte(s))) != string(want) {
			t.Errorf("%q is written as %s, want %s", s, got[1:], want)
		}
	})
}

func TestKindsAreToldFromMistakes(t *testing.T) {
	tests := []struct {
		text string
		read func(*Reader) error
		want error
	}{
		{`1`, asText, ErrType},
		{`{}`, asText, ErrType},
		{`x`, asText, ErrSyntax},
		{``, asText, ErrSyntax},
		{`"1"`, asInt, ErrType},
		{`1.5`, asInt, ErrType},
		{`1e`, asInt, ErrSyntax},
		{`9999999999999999999`, asInt, ErrType},
		{strings.Repeat("[", 65), asRaw, ErrDepth},
		{strings.Repeat(`{"a":`, 65), asRaw, ErrDepth},
		{strings.Repeat("[", 64) + strings.Repeat("]", 64), asRaw, nil},
	}
	for _, test := range tests {
		if err := test.read(read(test.text)); !errors.Is(err, test.want) {
			t.Errorf("%.20s: %v, want %v", test.text, err, test.want)
		}
	}
}

func asText(r *Reader) error { _, err := r.Text(); return err }
func asInt(r *Reader) error  { _, err := r.Int(); return err }
func asRaw(r *Reader) error  { _, err := r.Raw(); return err }

// A reader is used again for what somebody else sent.
func TestNothingIsLeftForTheNext(t *testing.T) {
	r := read(`"\u0073ecret that is long"`)
	if _, err := r.Text(); err != nil {
		t.Fatal(err)
	}
	kept := r.scratch[:cap(r.scratch)]
	r.Reset(nil)
	if strings.Trim(string(kept), "\x00") != "" {
		t.Errorf("%q is left", kept)
	}
}
