// Package validation holds the rules for the four kinds, as pure functions: the webhook
// asks them before an object is stored, the controllers again before they issue a key, and
// whoever has no API server asks nothing else. They repeat what the CRDs' schemas say.
//
// Objects that are referred to may not exist yet, so a rule about one that is not given
// is not applied; whoever issues keys waits until all are there and then asks again.
package validation

import (
	"fmt"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// References is what the rules must know of other objects.
type References struct {
	// Workspace and ServiceAccount are those that are referred to; nil: not there (yet).
	Workspace      *v1alpha1.Workspace
	ServiceAccount *v1alpha1.ServiceAccount
	// KeysInWorkspace, KeysOfAccount and KeysOfUser count the other keys for which Counts holds. Leave
	// them zero where the number of keys is not asked about.
	KeysInWorkspace int
	KeysOfAccount   int
	// KeysOfUser counts the personal tokens in the key's workspace of the user that its entity names.
	KeysOfUser int
	// IssuedAt is when the key was issued; zero: not yet.
	IssuedAt time.Time
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// unseen drops the errors that the old object had too: what was stored under other rules, or
// became wrong when a workspace's policy changed, must not get in the way of another change.
// Where in a list the fault stands does not matter.
func unseen(errs, old field.ErrorList) field.ErrorList {
	identity := func(e *field.Error) string {
		return fmt.Sprintf("%s %s %v %s", e.Type, index.ReplaceAllString(e.Field, ""), e.BadValue, e.Detail)
	}
	seen := make(map[string]bool, len(old))
	for _, e := range old {
		seen[identity(e)] = true
	}
	var fresh field.ErrorList
	for _, e := range errs {
		if !seen[identity(e)] {
			fresh = append(fresh, e)
		}
	}
	return fresh
}
