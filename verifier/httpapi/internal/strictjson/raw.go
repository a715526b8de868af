package strictjson

import "errors"

// ErrDepth is a value that holds values in values in values, deeper than anything sensible.
var ErrDepth = errors.New("nested too deeply")

// maxDepth is how deep a value may nest that is gone over unread.
const maxDepth = 64

// Raw goes over a value of any kind and returns the bytes it is written in.
func (r *Reader) Raw() ([]byte, error) {
	r.peek()
	begin := r.at
	if err := r.skip(maxDepth); err != nil {
		return nil, err
	}
	return r.data[begin:r.at], nil
}

func (r *Reader) skip(depth int) error {
	if depth == 0 {
		return ErrDepth
	}
	switch c := r.peek(); {
	case c == '{':
		r.take(1)
		r.first = true
		for {
			if _, more, err := r.Field(); !more || err != nil {
				return err
			}
			if err := r.skip(depth - 1); err != nil {
				return err
			}
		}
	case c == '[':
		r.take(1)
		r.first = true
		for {
			if more, err := r.Item(); !more || err != nil {
				return err
			}
			if err := r.skip(depth - 1); err != nil {
				return err
			}
		}
	case c == '"':
		_, err := r.text()
		return err
	case c == '-', isDigit(c):
		if _, ok := r.number(); !ok {
			return ErrSyntax
		}
		return nil
	case c == 't', c == 'f':
		_, err := r.Bool()
		return err
	default:
		return r.null(c)
	}
}
