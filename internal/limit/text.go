package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The names of kinds are kept on disk and shared with other verifiers.
var kindNames = [...]string{Span: "span", Tokens: "tokens", Quota: "quota", Budget: "budget", Concurrency: "concurrency"}

// String is the name of the kind.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// ParseKind finds the kind of a name.
func ParseKind(name string) (Kind, error) {
	for k, known := range kindNames {
		if name == known {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("%q is no kind of rule", name)
}

// ParseCalendar makes the calendar whose String the text is.
func ParseCalendar(text string) (*Calendar, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) == 3 {
		for _, reset := range [...]Reset{Monthly, Weekly, Daily} {
			anchor, err := strconv.Atoi(parts[1])
			zone, zoneErr := time.LoadLocation(parts[2])
			if reset.String() == parts[0] && err == nil && zoneErr == nil {
				return NewCalendar(reset, anchor, zone), nil
			}
		}
	}
	return nil, fmt.Errorf("%q is no calendar", text)
}
