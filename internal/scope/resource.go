package scope

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// MaxResourceLength is the longest the name of a resource may be, in bytes.
const MaxResourceLength = 256

// ValidateResource says what is wrong with the resource of a grant, in words that do not
// repeat it.
func ValidateResource(s string) error {
	switch name := strings.TrimSuffix(s, one); {
	case s == "":
		return errors.New("a resource must not be empty")
	case len(s) > MaxResourceLength:
		return fmt.Errorf("a resource has at most %d characters", MaxResourceLength)
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a resource has visible ASCII characters only, and no spaces")
	case strings.Contains(name, one):
		return errors.New("a * stands for any rest and so must be the last character")
	}
	return nil
}

// pattern is one name, or all that begin with it.
type pattern struct {
	text string
	wild bool
}

func patternOf(resource string) pattern {
	text, wild := strings.CutSuffix(resource, one)
	return pattern{text, wild}
}

func patterns(grants []Grant) []pattern {
	all := make([]pattern, len(grants))
	for i, g := range grants {
		all[i] = patternOf(g.Resource)
	}
	return all
}

// covers says whether a pattern stands for all that another one does.
func (p pattern) covers(other pattern) bool {
	if p.wild {
		return strings.HasPrefix(other.text, p.text)
	}
	return p == other
}

// compare orders by text, and a single name behind the names that begin with it.
func (p pattern) compare(other pattern) int {
	if order := strings.Compare(p.text, other.text); order != 0 || p.wild == other.wild {
		return order
	}
	if p.wild {
		return -1
	}
	return 1
}

// longest finds the pattern that comes closest to another one of those that cover it; -1: none
// does. Of two that are the same, the first counts.
func longest(patterns []pattern, wanted pattern) int {
	found := -1
	for i, p := range patterns {
		if p.covers(wanted) && (found < 0 || cmp.Or(cmp.Compare(len(p.text), len(patterns[found].text)), p.compare(patterns[found])) > 0) {
			found = i
		}
	}
	return found
}
