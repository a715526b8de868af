package presented

import (
	"errors"
	"strings"
)

// ErrTwoWorkspaces is for a request that names two different workspaces.
var ErrTwoWorkspaces = errors.New("two different workspaces were named; name one")

// WorkspaceOf is the workspace that a request speaks of, in X-Workspace-Id, X-Organization-Id or
// by what its route is for; empty: it does not say.
func WorkspaceOf(lists ...[]string) (string, error) {
	workspace := ""
	for _, values := range lists {
		for _, value := range values {
			// Proxies join repeated headers with commas, which no workspace's ID holds.
			for name := range strings.SplitSeq(value, ",") {
				name = strings.TrimSpace(name)
				if name == "" || name == workspace {
					continue
				}
				if workspace != "" {
					return "", ErrTwoWorkspaces
				}
				workspace = name
			}
		}
	}
	return workspace, nil
}
