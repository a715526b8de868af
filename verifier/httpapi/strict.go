package httpapi

import (
	"errors"
	"strconv"

	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// fieldset is which fields of an object were read, each a bit: none may be there twice.
type fieldset struct{ seen uint32 }

// once marks a field as seen.
func (s *fieldset) once(field uint32, name string) error {
	if s.seen&field != 0 {
		return malformed(name + " is there twice")
	}
	s.seen |= field
	return nil
}

func (s *fieldset) text(r *strictjson.Reader, field uint32, name string, into *string) error {
	if err := s.once(field, name); err != nil {
		return err
	}
	text, err := r.Text()
	*into = text
	return explain(r, err, name, "a string")
}

func (s *fieldset) number(r *strictjson.Reader, field uint32, name string, into *int64) error {
	if err := s.once(field, name); err != nil {
		return err
	}
	n, err := r.Int()
	*into = n
	return explain(r, err, name, "a whole number")
}

func (s *fieldset) flag(r *strictjson.Reader, field uint32, name string, into *bool) error {
	if err := s.once(field, name); err != nil {
		return err
	}
	set, err := r.Bool()
	*into = set
	return explain(r, err, name, "true or false")
}

func (s *fieldset) list(r *strictjson.Reader, field uint32, name string, into *[]string) error {
	const kind = "a list of strings"
	if err := s.once(field, name); err != nil {
		return err
	}
	some, err := r.List()
	if !some {
		return explain(r, err, name, kind)
	}
	for {
		more, err := r.Item()
		if !more {
			return explain(r, err, name, kind)
		}
		text, err := r.Text()
		if err != nil {
			return explain(r, err, name, kind)
		}
		*into = append(*into, text)
	}
}

// readRoot reads a JSON object that must be there, and nothing behind it. The subject is what it is
// called in errors.
func readRoot[T any](into *T, r *strictjson.Reader, subject string, read func(*T, *strictjson.Reader, []byte) error) error {
	if err := beginBody(r, subject); err != nil {
		return err
	}
	if err := readFields(into, r, read); err != nil {
		return err
	}
	if !r.End() {
		return errTail
	}
	return nil
}

// beginBody begins an object that must be there.
func beginBody(r *strictjson.Reader, subject string) error {
	some, err := r.Object()
	if err == nil && !some {
		err = strictjson.ErrType // null
	}
	return explain(r, err, subject, "a JSON object")
}

var errTail = malformed("something follows the JSON object")

// readObject reads an object in a field; null is as good as an empty one.
func readObject[T any](into *T, s *fieldset, r *strictjson.Reader, field uint32, name string, read func(*T, *strictjson.Reader, []byte) error) error {
	if err := s.once(field, name); err != nil {
		return err
	}
	some, err := r.Object()
	if !some {
		return explain(r, err, name, "a JSON object")
	}
	return readFields(into, r, read)
}

func readFields[T any](into *T, r *strictjson.Reader, read func(*T, *strictjson.Reader, []byte) error) error {
	for {
		name, more, err := r.Field()
		if !more {
			return explain(r, err, "", "")
		}
		if err := read(into, r, name); err != nil {
			return err
		}
	}
}

// explain turns what went wrong with reading into words that hold nothing of what was read.
func explain(r *strictjson.Reader, err error, name, kind string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strictjson.ErrType):
		return malformed(name + " must be " + kind)
	case errors.Is(err, strictjson.ErrDepth):
		return malformed("the body is nested too deeply")
	case r.Empty():
		return malformed(`the body is empty; send a JSON object such as {"key": "..."}`)
	}
	return malformed("the body is not JSON: there is a mistake after byte " + strconv.Itoa(r.Offset()))
}

func unknownField(path string, name []byte) error {
	return malformed("unknown field " + quoteName(path+string(name)))
}

// quoteName repeats the name of a field to whoever misspelt it, unless it might be a key
// that ended up in the wrong place.
func quoteName(name string) string {
	const longest = 32 // shorter than any key
	if name == "" || len(name) > longest {
		return "of this name"
	}
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return "of this name"
		}
	}
	return `"` + name + `"`
}
