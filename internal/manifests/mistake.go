package manifests

import (
	"fmt"
	"regexp"
	"strings"
)

// Mistake is something that is wrong in the directory, and where. It shows nothing of a Secret.
type Mistake struct {
	File string // under the directory, with slashes
	Line int    // from 1; 0: the file as a whole
	Text string // begins with the field, where it is about one
}

// String is as compilers write it, so that editors find the place.
func (m Mistake) String() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

const redacted = "[redacted]"

// secrets are what looks like a key or a hash: somebody may have put one where it does not belong, and
// rules quote what they refuse.
var secrets = regexp.MustCompile("[a-z0-9]+_(live|test)_[0-9A-Za-z]+|[0-9A-Fa-f]{64}")

func masked(text string) string { return secrets.ReplaceAllString(text, redacted) }

// Mistakes are all that was found wrong in the directory, up to a maximum. They are an error.
type Mistakes []Mistake

// A directory with more than this has one cause, which shows in the first ones.
const maxMistakes = 100

// Error is a line for each.
func (m Mistakes) Error() string {
	lines := make([]string, 0, len(m)+1)
	for _, mistake := range m {
		lines = append(lines, mistake.String())
	}
	if len(m) >= maxMistakes {
		lines = append(lines, "and perhaps more")
	}
	return strings.Join(lines, "\n")
}

func (m *Mistakes) add(more ...Mistake) {
	*m = append(*m, more[:min(len(more), maxMistakes-len(*m))]...)
}

func (m Mistakes) full() bool { return len(m) >= maxMistakes }
