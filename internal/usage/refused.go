package usage

import (
	"slices"
	"strings"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
)

// Pair is a KeyLimit, by its UID, and a key that it refused something, or would have.
type Pair struct {
	Limit string
	Key   keyid.ID
}

// Refused is what a limit refused a key.
type Refused struct {
	// Denied requests, and those that it would have denied, were it not in shadow.
	Denied, ShadowDenied int64
	// At is the newest refusal, Code how it was answered, and Until how long it will go on; zero
	// where there was none but in shadow.
	At, Until time.Time
	Code      string
}

// EachRefused tells of each limit that refused the request or would have, once, however many of
// its rules did.
func (e *Event) EachRefused(take func(limit string, r Refused)) {
	if e.Refusal == nil {
		return
	}
	if by := e.Refusal.By; by != "" {
		take(by, Refused{Denied: 1, At: e.At, Until: e.Refusal.Until, Code: e.Error})
	}
	shadows := e.Refusal.Shadows
	for i, limit := range shadows {
		if limit != "" && !slices.Contains(shadows[:i], limit) {
			take(limit, Refused{ShadowDenied: 1})
		}
	}
}

// Merge adds what another counted, and takes over its refusal where that is newer. The order of
// merging makes no difference.
func (r *Refused) Merge(other *Refused) {
	denied, shadowDenied := r.Denied+other.Denied, r.ShadowDenied+other.ShadowDenied
	if r.before(other) {
		*r = *other
	}
	r.Denied, r.ShadowDenied = denied, shadowDenied
}

// before says which of two refusals tells how it stands: the newer one, and of two at the same
// moment the one that lasts longer.
func (r *Refused) before(other *Refused) bool {
	switch {
	case !r.At.Equal(other.At):
		return r.At.Before(other.At)
	case !r.Until.Equal(other.Until):
		return r.Until.Before(other.Until)
	}
	return strings.Compare(r.Code, other.Code) < 0
}
