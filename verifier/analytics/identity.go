package analytics

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
)

// mayGet is nil where somebody may read an object, by its namespace and name.
func (h *handler) mayGet(q *question, who user.Info, resource, object, otherwise string) error {
	namespace, name, _ := strings.Cut(object, "/")
	may, err := h.Kubernetes.MayGet(q, who, resource, namespace, name)
	switch {
	case err != nil:
		h.Log.Error(err, "Access to usage cannot be checked", "user", who.GetName())
		return &problem{status: http.StatusServiceUnavailable, code: "ACCESS_UNKNOWN", text: "Access cannot be checked with Kubernetes now. Please try again."}
	case !may:
		return notFound(otherwise)
	}
	return nil
}
