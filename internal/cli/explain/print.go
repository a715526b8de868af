package explain

import (
	"io"
	"strings"
)

// Print writes an explanation for people.
func (e Explanation) Print(w io.Writer) error {
	var text strings.Builder
	text.WriteString(e.Verdict + "\n")
	for _, part := range []struct {
		title string
		lines []string
	}{
		{"", e.Reasons}, {"What comes:", e.Soon}, {"How it is:", e.Notes}, {"What was told of it lately:", e.Events},
		{"What could not be looked at:", e.Unseen},
	} {
		if len(part.lines) == 0 {
			continue
		}
		text.WriteString("\n")
		if part.title != "" {
			text.WriteString(part.title + "\n")
		}
		for _, line := range part.lines {
			text.WriteString("  - " + line + "\n")
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
