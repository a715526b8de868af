package presented

import (
	"errors"
	"strings"
)

// ErrTwoWorkspaces is for a request that names two different workspaces.
var ErrTwoWorkspaces = errors.New("two different workspaces were named; name one")

// WorkspaceOf is the workspace that a client says it speaks of, in X-Workspace-Id or
// X-Organization-Id; empty: it does not say.
func WorkspaceOf(workspaceIDs, organizationIDs []string) (string, error) {
	workspace := ""
	for _, values := range [...][]string{workspaceIDs, organizationIDs} {
		for _, value := range values {
			value = strings.TrimSpace(value)
			if value == "" || value == workspace {
				continue
			}
			if workspace != "" {
				return "", ErrTwoWorkspaces
			}
			workspace = value
		}
	}
	return workspace, nil
}
