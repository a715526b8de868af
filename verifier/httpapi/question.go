package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/claviger-dev/claviger/verifier"
)

// decodeQuestion reads the body of /v1/verify. It is strict: what it does not know, or is
// there twice, is refused, because a misspelt "scopes" that is ignored is a check that is not made.
// null is as good as nothing.
func decodeQuestion(body io.Reader) (verifier.Request, error) {
	var (
		request  verifier.Request
		clientIP string
		d        = decoder{json.NewDecoder(body)}
	)
	err := d.object("", map[string]func(name string) error{
		"key":       func(name string) error { return d.value(name, "a string", &request.Key) },
		"workspace": func(name string) error { return d.value(name, "a string", &request.Workspace) },
		"clientIP":  func(name string) error { return d.value(name, "a string", &clientIP) },
		"scopes": func(name string) error {
			return d.object(name, map[string]func(name string) error{
				"allOf": func(name string) error { return d.value(name, "a list of strings", &request.Scopes.AllOf) },
				"anyOf": func(name string) error { return d.value(name, "a list of strings", &request.Scopes.AnyOf) },
			})
		},
	})
	if err == nil {
		err = d.end()
	}
	if err == nil && clientIP != "" {
		if request.ClientIP, err = netip.ParseAddr(clientIP); err != nil {
			err = malformed("clientIP must be an IP address")
		}
	}
	if err != nil {
		return verifier.Request{}, err
	}
	return request, nil
}

// decoder is a JSON decoder that says what is wrong in the words of the question.
type decoder struct {
	*json.Decoder
}

// object reads an object, each of its fields by one of the given functions. The path is that
// of the object, empty for the body itself.
func (d decoder) object(path string, fields map[string]func(name string) error) error {
	begin, err := d.Token()
	switch {
	case err != nil:
		return d.explain(err)
	case begin == nil && path != "":
		return nil
	case begin != json.Delim('{'):
		return malformed(subject(path) + " must be a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return d.explain(err)
		}
		name, ok := token.(string)
		if !ok {
			return malformed("the body is not JSON")
		}
		read, known := fields[name]
		switch full := join(path, name); {
		case !known:
			return malformed("unknown field " + quoteName(full))
		case seen[name]:
			return malformed(full + " is there twice")
		default:
			seen[name] = true
			if err := read(full); err != nil {
				return err
			}
		}
	}
	_, err = d.Token()
	return d.explain(err)
}

// value reads the value of a field.
func (d decoder) value(name, kind string, into any) error {
	err := d.Decode(into)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return malformed(name + " must be " + kind)
	}
	return d.explain(err)
}

// end makes sure that nothing follows.
func (d decoder) end() error {
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case tooLarge(err):
		return d.explain(err)
	default:
		return malformed("something follows the JSON object")
	}
}

// explain turns what went wrong with reading into words that hold nothing of what was read.
func (d decoder) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case tooLarge(err):
		return &invalid{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", maxBody)}
	case errors.Is(err, io.EOF) && d.InputOffset() == 0:
		return malformed(`the body is empty; send a JSON object such as {"key": "..."}`)
	default:
		return malformed("the body is not JSON: there is a mistake after byte " + strconv.FormatInt(d.InputOffset(), 10))
	}
}

func tooLarge(err error) bool {
	limit := (*http.MaxBytesError)(nil)
	return errors.As(err, &limit)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func subject(path string) string {
	if path == "" {
		return "the body"
	}
	return path
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
