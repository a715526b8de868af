// Package scope is the language of permissions: what a scope looks like, when one covers
// another, and what a key may really do under a catalogue and a ceiling.
//
// A scope reads path.of.words:verb (workspace.collection:create) or is a bare word
// (read). In a path * stands for one segment and ** for one or more, the last ones; as
// a verb * stands for any. A scope without a verb covers only scopes without one, unless
// its path ends in **, which stands for all that remains, the verb included.
package scope

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLength is the longest a scope may be, in bytes.
const MaxLength = 256

const (
	one  = "*"
	rest = "**"
)

// Validate says what is wrong with a scope, in words that do not repeat it.
func Validate(s string) error {
	switch {
	case s == "":
		return errors.New("a scope must not be empty")
	case len(s) > MaxLength:
		return fmt.Errorf("a scope has at most %d characters", MaxLength)
	}
	path, verb, hasVerb := strings.Cut(s, ":")
	if hasVerb && verb != one && !isWord(verb) {
		return errors.New("after the colon comes one verb, of letters, digits, _ and -, or *")
	}
	for more := true; more; {
		var segment string
		segment, path, more = strings.Cut(path, ".")
		switch {
		case segment == rest && more:
			return errors.New("** stands for all that remains and so must be the last part of the path")
		case segment != one && segment != rest && !isWord(segment):
			return errors.New("between the dots come words of letters, digits, _ and -, or * or **")
		}
	}
	return nil
}

// Covers says whether whoever is granted one scope has the wanted one. The wanted one may
// hold wildcards too: it is covered if everything that it stands for is. Neither is validated
// here.
func Covers(granted, wanted string) bool {
	grantedPath, grantedVerb, grantedHasVerb := strings.Cut(granted, ":")
	wantedPath, wantedVerb, wantedHasVerb := strings.Cut(wanted, ":")
	if !pathCovers(grantedPath, wantedPath) {
		return false
	}
	if !grantedHasVerb {
		// A wanted ** without a verb stands for all verbs, as the granted one does.
		return endsInRest(grantedPath) || !wantedHasVerb && !endsInRest(wantedPath)
	}
	return wantedHasVerb && (grantedVerb == one || grantedVerb == wantedVerb)
}

func pathCovers(granted, wanted string) bool {
	for {
		grantedSegment, grantedTail, grantedMore := strings.Cut(granted, ".")
		wantedSegment, wantedTail, wantedMore := strings.Cut(wanted, ".")
		switch {
		case grantedSegment == rest:
			return true
		case wantedSegment == rest:
			return false
		case grantedSegment != one && grantedSegment != wantedSegment:
			return false
		case grantedMore != wantedMore:
			return false
		case !grantedMore:
			return true
		}
		granted, wanted = grantedTail, wantedTail
	}
}

func endsInRest(path string) bool { return path == rest || strings.HasSuffix(path, "."+rest) }

func isWord(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if !inWord[s[i]] {
			return false
		}
	}
	return true
}

var inWord = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") {
		is[c] = true
	}
	return is
}()
