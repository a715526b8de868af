package adminapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// kubernetes asks the API server who sent a bearer token (TokenReview) and whether they may
// use the method on the path (SubjectAccessReview on a non-resource URL). It does what
// controller-runtime's metrics filter does, but answers a wrong token with 401 instead of
// 500 and does not log an error for each.
type kubernetes struct {
	// In this order: for tokens that are made out to the verifier, as the operator's is, and for
	// those made out to the API server, as those of whoever reads metrics mostly are.
	authenticators []audience
	authorizer     authorizer.Authorizer
	log            logr.Logger
}

type audience struct {
	names authenticator.Audiences // none: the API server's own
	authenticator.Request
}

// As kube-apiserver's own delegating servers have it. A token that was withdrawn may be
// accepted for as long as its review is cached.
var reviewBackoff = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

const (
	reviewTimeout = 10 * time.Second
	tokenCacheTTL = time.Minute
	allowCacheTTL = time.Minute
	denyCacheTTL  = 30 * time.Second
)

// ProtectWithKubernetes makes a Server's Protect out of the API server that config points to.
func ProtectWithKubernetes(config *rest.Config, log logr.Logger) (func(http.Handler) http.Handler, error) {
	authentication, err := authenticationv1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot review tokens: %w", err)
	}
	authorization, err := authorizationv1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot review access: %w", err)
	}
	k := kubernetes{log: log}
	for _, names := range []authenticator.Audiences{{usagefeed.Audience}, nil} {
		request, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{
			TokenAccessReviewClient:  authentication,
			TokenAccessReviewTimeout: reviewTimeout,
			WebhookRetryBackoff:      &reviewBackoff,
			CacheTTL:                 tokenCacheTTL,
			APIAudiences:             names,
		}.New()
		if err != nil {
			return nil, fmt.Errorf("cannot review tokens: %w", err)
		}
		k.authenticators = append(k.authenticators, audience{names, request})
	}
	k.authorizer, err = authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: authorization,
		WebhookRetryBackoff:       &reviewBackoff,
		AllowCacheTTL:             allowCacheTTL,
		DenyCacheTTL:              denyCacheTTL,
	}.New()
	if err != nil {
		return nil, fmt.Errorf("cannot review access: %w", err)
	}
	return k.protect, nil
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

// authenticate asks for one audience after another whose token it is.
func (k kubernetes) authenticate(r *http.Request) (identity *authenticator.Response, ok bool, err error) {
	for _, a := range k.authenticators {
		asked := r
		if a.names != nil {
			asked = r.WithContext(authenticator.WithAudiences(r.Context(), a.names))
		}
		if identity, ok, err = a.AuthenticateRequest(asked); ok {
			return identity, ok, err
		}
	}
	return nil, false, err
}

func (k kubernetes) check(r *http.Request) (status int, message string) {
	identity, ok, err := k.authenticate(r)
	if err != nil {
		// A token that is wrong and an API server that is away come as the same error.
		k.log.V(1).Info("A token was not accepted", "path", r.URL.Path, "reason", err.Error())
		return http.StatusUnauthorized, "the bearer token is not one that Kubernetes accepts, or could not be checked now"
	}
	if !ok {
		return http.StatusUnauthorized, "send the token of a Kubernetes service account as Authorization: Bearer <token>"
	}
	verb, path := strings.ToLower(r.Method), r.URL.Path
	decision, _, err := k.authorizer.Authorize(r.Context(), authorizer.AttributesRecord{User: identity.User, Verb: verb, Path: path})
	if err != nil {
		k.log.Error(err, "Access to the protected port cannot be checked", "user", identity.User.GetName())
		return http.StatusServiceUnavailable, "access cannot be checked with Kubernetes now; try again later"
	}
	if decision != authorizer.DecisionAllow {
		return http.StatusForbidden, fmt.Sprintf("%s may not %s %s: a ClusterRole with that nonResourceURL and verb would allow it", identity.User.GetName(), verb, path)
	}
	return http.StatusOK, ""
}
