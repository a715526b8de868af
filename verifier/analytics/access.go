package analytics

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/fields"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// ReadingScope is what a key needs to ask about other keys of its workspace, and about the workspace itself.
const ReadingScope = "usage:read"

// self stands for the key that asks.
const self = "self"

const (
	noKey       = "There is no such API key, or its usage is not yours to see."
	noWorkspace = "There is no such workspace, or its usage is not yours to see."
)

// admit lets a question be asked by those who may, and says what it is about. What there is not, and what
// somebody may not see, are answered alike. That the workspace is named in no good way is told to those who might ask.
func (h *handler) admit(q *question, r *http.Request, id string) error {
	named, misnamed := workspaceOf(q.route, r)
	if h.Kubernetes != nil && bearsToken(r) {
		return h.admitIdentity(q, r, named, misnamed, id)
	}
	return h.admitKey(q, r, named, misnamed, id)
}

// workspaceOf is the workspace that a question names; empty where it need not and does not, or does in no good way.
func workspaceOf(asked *route, r *http.Request) (string, error) {
	named, err := presented.WorkspaceOf(r.Header["X-Workspace-Id"], r.Header["X-Organization-Id"])
	if err != nil {
		return "", malformed("%s", err)
	}
	if asked.ofKey() {
		return named, nil
	}
	return workspaceNamed(named, r.URL.Query()["workspace"])
}

// admitKey lets a key ask about itself, and with ReadingScope about its workspace and the keys there.
func (h *handler) admitKey(q *question, r *http.Request, named string, misnamed error, id string) error {
	key, err := presented.KeyOf(r.Header["X-Api-Key"], r.Header["Authorization"], h.Verifier.Foreign)
	if err != nil {
		return malformed("%s", err)
	}
	asked := verifier.Request{Key: key.Text, Workspace: named, ClientIP: h.client(r)}
	d := h.Verifier.Inspect(q, asked)
	if !d.Valid() {
		return refused(&d, &asked.Scopes)
	}
	q.workspace = d.Key.Workspace
	if q.route.ofKey() && (id == self || id == d.Key.ID.String()) {
		q.key = d.Key.ID.String()
		return misnamed
	}
	asked.Scopes.AllOf = []string{ReadingScope}
	if d := h.Verifier.Inspect(q, asked); !d.Valid() {
		return refused(&d, &asked.Scopes)
	}
	if !q.route.ofKey() {
		return misnamed
	}
	workspace, known, err := h.ownerOf(q, id)
	if err != nil {
		return err
	}
	if !known || workspace != q.workspace {
		return notFound(noKey)
	}
	q.key = id
	return misnamed
}

// workspaceNamed is the workspace that a question is about. It must be named, so that nobody bills one tenant by the key of
// another.
func workspaceNamed(inHeader string, inQuery []string) (string, error) {
	switch {
	case len(inQuery) > 1:
		return "", malformed("workspace is there more than once")
	case len(inQuery) == 1 && inHeader != "" && inQuery[0] != inHeader:
		return "", malformed("X-Workspace-Id and workspace name two workspaces; name one")
	case len(inQuery) == 1:
		inHeader = inQuery[0]
	}
	if namespace, name, ok := strings.Cut(inHeader, "/"); !ok || namespace == "" || name == "" {
		return "", malformed("X-Workspace-Id is missing; name the workspace there, or as ?workspace=, as namespace/name")
	}
	return inHeader, nil
}

// bearsToken says whether a request bears a token of Kubernetes, which is a JWT, and no key.
func bearsToken(r *http.Request) bool {
	values := r.Header["Authorization"]
	if len(values) != 1 || len(r.Header["X-Api-Key"]) > 0 {
		return false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	return ok && strings.EqualFold(scheme, "Bearer") && strings.Count(token, ".") == 2 && !presented.LooksLikeKey(token)
}

// admitIdentity lets those ask who may get the ApiKey, or the Workspace.
func (h *handler) admitIdentity(q *question, r *http.Request, named string, misnamed error, id string) error {
	who, err := h.Kubernetes.Authenticate(r)
	if err != nil || who == nil {
		return &problem{status: http.StatusUnauthorized, code: policy.CodeKeyInvalid.String(),
			text: "The bearer token is not one that Kubernetes accepts, or it could not be checked now.", challenge: `Bearer realm="claviger"`}
	}
	if !q.route.ofKey() {
		if misnamed != nil {
			return misnamed
		}
		q.workspace = named
		return h.mayGet(q, who, "workspaces", named, noWorkspace)
	}
	if id == self {
		return malformed("self is the key that asks, and a token of Kubernetes is none; state the key's ID")
	}
	parsed, err := keyid.Parse(id)
	if err != nil {
		return notFound(noKey)
	}
	q.key = id
	if key, ok := h.Verifier.Known(parsed); ok {
		q.workspace = key.Workspace
		err = h.mayGet(q, who, "apikeys", key.Namespace+"/"+key.Name, noKey)
	} else {
		// Of a deleted one there is but the usage, which belongs to the workspace.
		workspace, known, ownerErr := h.Usage.Owner(q, parsed)
		if ownerErr != nil {
			return ownerErr
		}
		if !known {
			return notFound(noKey)
		}
		q.workspace = workspace
		err = h.mayGet(q, who, "workspaces", workspace, noKey)
	}
	switch {
	case err != nil:
		return err
	case named != "" && named != q.workspace:
		return notFound(noKey)
	}
	return misnamed
}

// ownerOf is the workspace of a key, deleted or not.
func (h *handler) ownerOf(q *question, id string) (workspace string, known bool, err error) {
	parsed, err := keyid.Parse(id)
	if err != nil {
		return "", false, nil
	}
	if key, ok := h.Verifier.Known(parsed); ok {
		return key.Workspace, true, nil
	}
	return h.Usage.Owner(q, parsed)
}

func (h *handler) client(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	return h.proxies.Client(peer.Addr(), r.Header["X-Forwarded-For"])
}

// refused answers as the doors do.
func refused(d *verifier.Decision, required *verifier.Scopes) error {
	code := d.Code.Public()
	return &problem{
		status: d.Status, code: code.String(), text: d.Error,
		challenge: string(fields.AppendChallenge(nil, code, required)), retryAfter: string(fields.AppendRetryAfter(nil, d)),
	}
}
