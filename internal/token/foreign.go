package token

// MaxForeignLength is how long a key of another format may be, in bytes.
const MaxForeignLength = 512

// MayBeForeign says whether a text could be a key of another format: it is not empty, not longer than
// MaxForeignLength, and of visible ASCII characters. It is asked before a text is hashed, so that nobody has
// long ones hashed.
func MayBeForeign(text string) bool {
	if text == "" || len(text) > MaxForeignLength {
		return false
	}
	for i := range len(text) {
		if text[i] < '!' || text[i] > '~' {
			return false
		}
	}
	return true
}
