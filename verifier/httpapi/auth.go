package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
)

// The headers that tell the service behind a gateway who is calling.
const (
	headerKeyID          = "X-Claviger-Key-Id"
	headerKeyName        = "X-Claviger-Key-Name"
	headerNamespace      = "X-Claviger-Namespace"
	headerWorkspaceID    = "X-Claviger-Workspace-Id"
	headerEnvironment    = "X-Claviger-Environment"
	headerServiceAccount = "X-Claviger-Service-Account"
	headerScopes         = "X-Claviger-Scopes"
)

// auth is forward authentication: the gateway passes the client's request on, and asks only
// for a status. The scopes a route requires are in the query, which the gateway's configuration
// writes and the client does not see.
func (h *handler) auth(r *http.Request) answer {
	request, err := h.authRequest(r)
	if err != nil {
		a := refuseRequest(r, err)
		a.header = http.Header{"Www-Authenticate": {challenge(policy.CodeRequestInvalid, nil)}}
		return a
	}
	d := h.verifier.Verify(r.Context(), request)
	header := http.Header{}
	limitFields(header, &d)
	if d.Valid() {
		identityFields(header, &d.Key)
		return answer{status: d.Status, code: d.Code.String(), header: header, body: ""}
	}
	code := d.Code.Public()
	if c := challenge(code, request.Scopes.AllOf); c != "" {
		header.Set("Www-Authenticate", c)
	}
	a := problem(r, d.Status, code.String(), d.Error)
	a.header = header
	return a
}

func (h *handler) authRequest(r *http.Request) (verifier.Request, error) {
	scopes, err := requiredScopes(r.URL.RawQuery)
	if err != nil {
		return verifier.Request{}, err
	}
	key, err := keyOf(r.Header)
	if err != nil {
		return verifier.Request{}, err
	}
	workspace, err := workspaceOf(r.Header)
	if err != nil {
		return verifier.Request{}, err
	}
	return verifier.Request{
		Key:       key,
		Scopes:    verifier.Scopes{AllOf: scopes},
		Workspace: workspace,
		ClientIP:  h.proxies.client(r),
	}, nil
}

// requiredScopes reads the query. It must be all understood: to ignore a misspelt parameter
// would be to ignore a check.
func requiredScopes(query string) ([]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, malformed("the query cannot be read; write ?scope=a&scope=b")
	}
	for name := range values {
		if name != "scope" {
			return nil, malformed("the query may hold only scope, not " + quoteName(name))
		}
	}
	return values["scope"], nil
}

// workspaceOf is the workspace that the client says it speaks of, or "" if it does not say.
func workspaceOf(header http.Header) (string, error) {
	workspace := ""
	for _, value := range slices.Concat(header["X-Workspace-Id"], header["X-Organization-Id"]) {
		value = strings.TrimSpace(value)
		if value == "" || value == workspace {
			continue
		}
		if workspace != "" {
			return "", errTwoWorkspaces
		}
		workspace = value
	}
	return workspace, nil
}

var errTwoWorkspaces = errors.New("two different workspaces were named; name one")

// identityFields are always all there, empty where they say nothing: a gateway that copies
// them over those of the client then leaves none that the client made up.
func identityFields(header http.Header, key *verifier.Key) {
	for name, value := range map[string]string{
		headerKeyID:          key.ID.String(),
		headerKeyName:        key.Name,
		headerNamespace:      key.Namespace,
		headerWorkspaceID:    key.Workspace,
		headerEnvironment:    key.Environment,
		headerServiceAccount: key.ServiceAccount,
		headerScopes:         strings.Join(key.Scopes, " "),
	} {
		header[name] = []string{fieldValue(value)}
	}
}

// fieldValue lets nothing into a header that could end it. The schema lets no such thing
// come this far.
func fieldValue(value string) string {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return ""
		}
	}
	return value
}
