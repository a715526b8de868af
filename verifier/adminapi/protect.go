package adminapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/verifier/internal/kubeauth"
)

// kubernetes asks the API server who sent a bearer token and whether they may
// use the method on the path. It does what
// controller-runtime's metrics filter does, but answers a wrong token with 401 instead of
// 500 and does not log an error for each.
type kubernetes struct {
	*kubeauth.Kubernetes
	log logr.Logger
}

// ProtectWithKubernetes makes a Server's Protect out of the API server that config points to.
func ProtectWithKubernetes(config *rest.Config, log logr.Logger) (func(http.Handler) http.Handler, error) {
	asked, err := kubeauth.New(config)
	if err != nil {
		return nil, err
	}
	return kubernetes{asked, log}.protect, nil
}

func (k kubernetes) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, message := k.check(r); status != http.StatusOK {
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			respondError(w, status, message)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (k kubernetes) check(r *http.Request) (status int, message string) {
	who, err := k.Authenticate(r)
	if err != nil {
		// A token that is wrong and an API server that is away come as the same error.
		k.log.V(1).Info("A token was not accepted", "path", r.URL.Path, "reason", err.Error())
		return http.StatusUnauthorized, "the bearer token is not one that Kubernetes accepts, or could not be checked now"
	}
	if who == nil {
		return http.StatusUnauthorized, "send the token of a Kubernetes service account as Authorization: Bearer <token>"
	}
	verb, path := strings.ToLower(r.Method), r.URL.Path
	may, err := k.MayDo(r.Context(), who, verb, path)
	if err != nil {
		k.log.Error(err, "Access to the protected port cannot be checked", "user", who.GetName())
		return http.StatusServiceUnavailable, "access cannot be checked with Kubernetes now; try again later"
	}
	if !may {
		return http.StatusForbidden, fmt.Sprintf("%s may not %s %s: a ClusterRole with that nonResourceURL and verb would allow it", who.GetName(), verb, path)
	}
	return http.StatusOK, ""
}
