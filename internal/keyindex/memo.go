package keyindex

import (
	"slices"
	"strings"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
)

// memo remembers, while many keys are compiled, what their scopes come to: most keys of a
// tenant ask for the same. It holds as long as no Workspace and no ServiceAccount changes.
type memo struct {
	bounds map[bounding]scope.Bounds
	sets   map[grant]scope.Set
}

// bounding is what bounds a key; the account is nil where it names none.
type bounding struct {
	workspace *workspace
	account   *account
}

type grant struct {
	bounding
	scopes string
}

// scopes are what a key may really do; nothing while what bounds it is missing, or once it is
// revoked.
func (m *memo) scopes(k *apiKey) scope.Set {
	by := bounding{k.workspace, k.account}
	if by.workspace.object == nil || by.account != nil && by.account.object == nil || state(k.object.Spec.State) == policy.Revoked {
		return scope.Set{}
	}
	// The schema refuses malformed scopes; here they are dropped, because what matches
	// them is undefined.
	granted := slices.DeleteFunc(texts(k.object.Spec.Scopes), func(s string) bool { return scope.Validate(s) != nil })
	same := grant{by, strings.Join(granted, " ")}
	set, known := m.sets[same]
	if !known {
		set = m.of(by).Effective(granted)
		if m.sets == nil {
			m.sets = map[grant]scope.Set{}
		}
		m.sets[same] = set
	}
	return set
}

func (m *memo) of(by bounding) scope.Bounds {
	bounds, known := m.bounds[by]
	if !known {
		var ceiling []string
		if by.account != nil {
			ceiling = texts(by.account.object.Spec.Scopes)
		}
		bounds = scope.NewBounds(ceiling, by.workspace.catalogue)
		if m.bounds == nil {
			m.bounds = map[bounding]scope.Bounds{}
		}
		m.bounds[by] = bounds
	}
	return bounds
}
