// Package token makes, reads and hashes API keys.
//
// A key reads <prefix>_<environment>_<32 base62 characters>: 26 random ones, 154 bits of
// them, then six that are the base62 CRC-32 (IEEE) of everything before. A mistyped key is
// therefore refused before anything is hashed, and secret scanners find keys with one
// regular expression, as GitHub's token format showed.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
)

const (
	randomLength   = 26
	checksumLength = 6
	bodyLength     = randomLength + checksumLength

	// MaxPrefixLength is the most characters that a prefix may have.
	MaxPrefixLength = 16
	// MaxLength is the length of the longest key there can be, in bytes.
	MaxLength = MaxPrefixLength + len("_live_") + bodyLength

	hintTail = 4
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The errors of Parse. Their texts may be shown: they hold nothing of the key.
var (
	ErrFormat   = errors.New("not an API key: it must read <prefix>_<live|test>_<32 letters and digits>")
	ErrChecksum = errors.New("not an API key: its last characters do not match the rest, so it was mistyped or cut")
)

// HashSize is the length of a Hash in bytes.
const HashSize = sha256.Size

// Hash is the SHA-256 of a key, all that is kept of it. A slow hash would add nothing
// against guessing 154 random bits and would let anybody overload the verifier.
type Hash [HashSize]byte

// HashOf hashes the text of a key. It does not check that text.
func HashOf(text string) Hash {
	// The buffer keeps the conversion off the heap: this runs for every request.
	var buffer [MaxLength]byte
	if len(text) <= len(buffer) {
		return sha256.Sum256(buffer[:copy(buffer[:], text)])
	}
	return sha256.Sum256([]byte(text))
}

// String does not show the hash: whoever holds a hash can tell a guessed key from a
// wrong one.
func (Hash) String() string { return redacted }

// GoString is for %#v.
func (Hash) GoString() string { return redacted }

// Format keeps every verb, %x too, from showing the hash.
func (Hash) Format(state fmt.State, _ rune) { io.WriteString(state, redacted) } //nolint:errcheck // fmt has no way to report it

// MarshalText keeps encoders from showing the hash.
func (Hash) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Token is a key in plain text. It shows itself to Reveal alone: printed, logged or
// encoded it is redacted.
type Token struct {
	text string
}

// New makes a key. The prefix and the environment are checked as Parse would.
func New(prefix, environment string) (Token, error) {
	head := prefix + "_" + environment + "_"
	if !validPrefix(prefix) || !validEnvironment(environment) {
		return Token{}, fmt.Errorf("no key can begin with %q: a prefix is a small letter and up to %d small letters or digits, an environment live or test", head, MaxPrefixLength-1)
	}
	body := make([]byte, randomLength)
	fillRandom(body)
	text := head + string(body)
	sum := checksum(text)
	return Token{text: text + string(sum[:])}, nil
}

// Parse reads the text of a key and checks its form and checksum. The error is ErrFormat
// or ErrChecksum.
func Parse(text string) (Token, error) {
	if len(text) > MaxLength {
		return Token{}, ErrFormat
	}
	prefix, rest, ok := strings.Cut(text, "_")
	if !ok || !validPrefix(prefix) {
		return Token{}, ErrFormat
	}
	environment, body, ok := strings.Cut(rest, "_")
	if !ok || !validEnvironment(environment) || len(body) != bodyLength {
		return Token{}, ErrFormat
	}
	for i := range len(body) {
		if !isBase62(body[i]) {
			return Token{}, ErrFormat
		}
	}
	before := len(text) - checksumLength
	if sum := checksum(text[:before]); string(sum[:]) != text[before:] {
		return Token{}, ErrChecksum
	}
	return Token{text: text}, nil
}

// Reveal returns the plain text. Call it only where the key is handed over.
func (t Token) Reveal() string { return t.text }

// Hash returns what may be kept of the key.
func (t Token) Hash() Hash { return HashOf(t.text) }

// Hint returns enough to recognise the key by and too little to guess it: the prefix, the
// environment and the last four characters, such as ak_live_…x7Qz.
func (t Token) Hint() string {
	if t.text == "" {
		return ""
	}
	return t.text[:len(t.text)-bodyLength] + "…" + t.text[len(t.text)-hintTail:]
}

const redacted = "[redacted]"

// String keeps the key out of logs and messages.
func (Token) String() string { return redacted }

// GoString is for %#v.
func (Token) GoString() string { return redacted }

// Format keeps every verb, %x and %+v too, from showing the key.
func (Token) Format(state fmt.State, _ rune) { io.WriteString(state, redacted) } //nolint:errcheck // fmt has no way to report it

// MarshalText keeps the key out of JSON, YAML and all other encodings.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue keeps the key out of structured logs.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// fillRandom fills b with base62 characters, each equally likely.
func fillRandom(b []byte) {
	// 248 is the greatest multiple of 62 in a byte: dropping what is above keeps the
	// first characters of the alphabet from coming up more often.
	const limit = 256 - 256%len(alphabet)
	var pool [2 * randomLength]byte
	for filled := 0; filled < len(b); {
		rand.Read(pool[:])
		for _, r := range pool {
			if int(r) < limit && filled < len(b) {
				b[filled] = alphabet[int(r)%len(alphabet)]
				filled++
			}
		}
	}
}

// slices are the tables for four bytes at a time (M. E. Kounavis and F. L. Berry, A Systematic Approach to
// Building High Performance Software-Based CRC Generators, 2005), a third of the time of one by one.
var slices = func() (t [4]crc32.Table) {
	t[0] = *crc32.IEEETable
	for i := range t[0] {
		for n := 1; n < len(t); n++ {
			t[n][i] = t[n-1][i]>>8 ^ t[0][byte(t[n-1][i])]
		}
	}
	return t
}()

// checksum is the CRC-32 of text as six base62 characters, most significant first.
func checksum(text string) [checksumLength]byte {
	// A stack buffer handed to crc32.ChecksumIEEE would escape to the heap.
	sum := ^uint32(0)
	for ; len(text) >= 4; text = text[4:] {
		sum ^= uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16 | uint32(text[3])<<24
		sum = slices[3][byte(sum)] ^ slices[2][byte(sum>>8)] ^ slices[1][byte(sum>>16)] ^ slices[0][sum>>24]
	}
	for i := range len(text) {
		sum = slices[0][byte(sum)^text[i]] ^ (sum >> 8)
	}
	sum = ^sum
	var out [checksumLength]byte
	for i := checksumLength - 1; i >= 0; i-- {
		out[i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return out
}

func validPrefix(prefix string) bool {
	if prefix == "" || len(prefix) > MaxPrefixLength || !isLower(prefix[0]) {
		return false
	}
	for i := range len(prefix) {
		if !isLower(prefix[i]) && !isDigit(prefix[i]) {
			return false
		}
	}
	return true
}

func validEnvironment(environment string) bool {
	return environment == "live" || environment == "test"
}

func isBase62(c byte) bool { return base62[c] }

var base62 = func() (is [256]bool) {
	for i := range len(alphabet) {
		is[alphabet[i]] = true
	}
	return is
}()

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
