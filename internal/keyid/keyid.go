// Package keyid is how a key is known wherever it is counted or told of: by the UID of its
// ApiKey, in the 16 bytes that a UUID has (RFC 9562) rather than in its text.
package keyid

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Size is the length of an ID in bytes.
const Size = 16

// ID identifies a key. It is no secret. The zero ID is no key.
type ID [Size]byte

const textLength = 36

var errMalformed = errors.New("not a UUID: it must read like 123e4567-e89b-12d3-a456-426614174000")

// Parse reads the text of an ID. Only the form that Kubernetes writes is one, in small letters,
// so that no two texts are the same ID.
func Parse(text string) (ID, error) {
	var id ID
	if len(text) != textLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return ID{}, errMalformed
	}
	at := 0
	for i := range id {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++ // the hyphens, and no other
		}
		high, ok := digit(text[at])
		low, also := digit(text[at+1])
		if !ok || !also {
			return ID{}, errMalformed
		}
		id[i] = high<<4 | low
		at += 2
	}
	return id, nil
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// IsZero says whether the ID is none.
func (id ID) IsZero() bool { return id == ID{} }

// String is the text of the ID; empty for the zero ID.
func (id ID) String() string {
	var text [textLength]byte
	return string(id.Append(text[:0]))
}

// Append appends the text of the ID, and nothing for the zero ID.
func (id ID) Append(b []byte) []byte {
	if id.IsZero() {
		return b
	}
	b = append(hex.AppendEncode(b, id[:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:])
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// Derive makes the ID that belongs to a text, for keys that no API server gave a UID: a UUID of
// version 8 (RFC 9562 section 5.8), from its SHA-256.
func Derive(text string) ID {
	sum := sha256.Sum256([]byte(text))
	id := ID(sum[:Size])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
