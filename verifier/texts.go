package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// Texts in events are for services, and often for their clients, to choose, and doors take any that a decision can be made
// with. What is kept of them is made here, in one place, so that no door can forget it: a key must not be kept, as what is
// counted is shown to more people than may see a key; and one text that a store refuses (PostgreSQL takes no NUL, and nothing
// that is not UTF-8) would hold up everybody's usage that is stored with it.

// redacted takes the place of a text with a key in it.
const redacted = "(redacted)"

// kept is what is kept of a text that came with a key; empty: it is known that the key shows by its form.
func kept(text, key string) string {
	if looksLikeKey(text) || presented.HoldsKey(text, key) {
		return redacted
	}
	return storable(text)
}

// keptID is what is kept of a request's ID. The IDs of different requests stay different, or their outcomes would be
// taken for one that was reported several times.
func keptID(id, key string) string {
	switch {
	case presented.HoldsKey(id, key):
		return redacted // without a hash, by which a key that is easy to guess could be found
	case looksLikeKey(id):
		return redacted + distinction(id)
	case fits(id):
		return id
	}
	return cleaned(id, MaxText-distinctionLength) + distinction(id)
}

// distinctionLength is that of a hyphen and of half as many bytes in hexadecimal digits.
const distinctionLength = 1 + 16

func distinction(id string) string {
	hash := sha256.Sum256([]byte(id))
	return "-" + hex.EncodeToString(hash[:distinctionLength/2])
}

func looksLikeKey(text string) bool {
	return strings.IndexByte(text, '_') >= 0 && presented.LooksLikeKey(text) // most texts are done with the first
}

// broughtIn says whether one of the words of a text is the key of an entry, in a form of others'. That of other keys is not asked:
// who may read the usage of one key could find out others by it, as often as he likes.
func (v *Verifier) broughtIn(text string, entry *keyindex.Entry) bool {
	if text == "" || !v.index.HasForeign() {
		return false
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		if v.isBrought(word, entry) || v.isBrought(strings.Trim(word, `"'.,:;()[]<>`), entry) {
			return true
		}
	}
	return false
}

func (v *Verifier) isBrought(word string, entry *keyindex.Entry) bool {
	var found keyindex.Entry
	return token.MayBeForeign(word) && v.index.Lookup(token.HashOf(word), &found) &&
		found.Foreign && found.Key.ID == entry.Key.ID
}

// storable is a text as each store takes it. Nearly all are so as they come, and cost no memory.
func storable(text string) string {
	if fits(text) {
		return text
	}
	return cleaned(text, MaxText)
}

// fits is false for some texts that could be stored as they are, to be quick: it is asked of four texts of each request.
func fits(text string) bool {
	if len(text) > MaxText {
		return false
	}
	for ; len(text) >= 8; text = text[8:] {
		// Eight characters at once: taking ' ' from one below it, and adding 1 to one above '~', sets its highest bit. That
		// it carries over to the next one does not matter, as then it is no.
		eight := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		if (eight|(eight-' '*each)|(eight+each))&(0x80*each) != 0 {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// each is 1 in each of eight bytes.
const each = 0x0101010101010101

// cleaned is a text with U+FFFD for what is no UTF-8 or controls terminals rather than being shown, and of no more than
// so many bytes.
func cleaned(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
