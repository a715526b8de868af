package verifier

import (
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/token"
)

// lookup finds whose key a text is.
func (v *Verifier) lookup(text string, entry *keyindex.Entry) bool {
	// What is no key is not hashed, unless there are others than ours: noise costs next to nothing.
	if key, err := token.Parse(text); err == nil {
		return v.index.Lookup(key.Hash(), entry)
	}
	return v.index.HasForeign() && v.lookupForeign(text, entry)
}

// lookupForeign finds a key that was brought along. One of ours never has a text that is none.
func (v *Verifier) lookupForeign(text string, entry *keyindex.Entry) bool {
	return token.MayBeForeign(text) && v.index.Lookup(token.HashOf(text), entry) && entry.Foreign
}

// Foreign says whether a text is a key that was brought along from elsewhere, in whatever state. It is for the
// doors of this module: of credentials that do not look like a key they cannot know otherwise.
func (v *Verifier) Foreign(text string) bool {
	if !v.index.HasForeign() {
		return false
	}
	var entry keyindex.Entry
	return v.lookupForeign(text, &entry)
}
