package strictjson

import "math"

// Int reads a whole number of 64 bits, written as one: not 1.0 or 1e3. null is 0.
func (r *Reader) Int() (int64, error) {
	if c := r.peek(); c != '-' && !isDigit(c) {
		return 0, r.null(c)
	}
	begin := r.at
	whole, ok := r.number()
	if !ok {
		return 0, ErrSyntax
	}
	if !whole {
		return 0, ErrType
	}
	return parseInt(r.data[begin:r.at])
}

// number goes over a number of the grammar of RFC 8259 section 6, and tells if it has
// neither a fraction nor an exponent.
func (r *Reader) number() (whole, ok bool) {
	if r.data[r.at] == '-' {
		r.at++
	}
	begin := r.at
	if r.digits() == 0 || r.data[begin] == '0' && r.at-begin > 1 {
		return false, false
	}
	whole = true
	if r.at < len(r.data) && r.data[r.at] == '.' {
		r.at++
		whole = false
		if r.digits() == 0 {
			return false, false
		}
	}
	if r.at < len(r.data) && (r.data[r.at] == 'e' || r.data[r.at] == 'E') {
		r.at++
		whole = false
		if r.at < len(r.data) && (r.data[r.at] == '+' || r.data[r.at] == '-') {
			r.at++
		}
		if r.digits() == 0 {
			return false, false
		}
	}
	r.token = r.at
	return whole, true
}

func (r *Reader) digits() (n int) {
	for r.at < len(r.data) && isDigit(r.data[r.at]) {
		r.at++
		n++
	}
	return n
}

// parseInt counts downwards, as there is one more negative number than positive ones.
func parseInt(digits []byte) (int64, error) {
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	var n int64
	for _, c := range digits {
		d := int64(c - '0')
		if n < (math.MinInt64+d)/10 {
			return 0, ErrType
		}
		n = n*10 - d
	}
	switch {
	case negative:
		return n, nil
	case n == math.MinInt64:
		return 0, ErrType
	}
	return -n, nil
}
