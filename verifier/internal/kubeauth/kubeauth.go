// Package kubeauth asks the API server who sent a bearer token (TokenReview) and what they may do
// (SubjectAccessReview).
package kubeauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// Kubernetes is an API server that is asked.
type Kubernetes struct {
	// In this order: for tokens that are made out to the verifier, as the operator's is, and for
	// those made out to the API server, as those of people mostly are.
	authenticators []audience
	authorizer     authorizer.Authorizer
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

// New makes a Kubernetes of the API server that config points to. Nothing is asked yet.
func New(config *rest.Config) (*Kubernetes, error) {
	authentication, err := authenticationv1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot review tokens: %w", err)
	}
	authorization, err := authorizationv1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot review access: %w", err)
	}
	k := &Kubernetes{}
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
	return k, nil
}

// Authenticate says who sent a request; nil: it bears no token. A token that is wrong and an API server that is away
// come as the same error. The token is taken out of the request's header.
func (k *Kubernetes) Authenticate(r *http.Request) (who user.Info, err error) {
	for _, a := range k.authenticators {
		asked := r
		if a.names != nil {
			asked = r.WithContext(authenticator.WithAudiences(r.Context(), a.names))
		}
		var identity *authenticator.Response
		var ok bool
		if identity, ok, err = a.AuthenticateRequest(asked); ok {
			return identity.User, nil
		}
	}
	return nil, err
}

// MayDo says whether somebody may use a verb on a path.
func (k *Kubernetes) MayDo(ctx context.Context, who user.Info, verb, path string) (bool, error) {
	return k.may(ctx, authorizer.AttributesRecord{User: who, Verb: verb, Path: path})
}

// MayGet says whether somebody may read an object of the API group keys.claviger.dev; resource is the plural name of
// its kind.
func (k *Kubernetes) MayGet(ctx context.Context, who user.Info, resource, namespace, name string) (bool, error) {
	return k.may(ctx, authorizer.AttributesRecord{
		User: who, Verb: "get", APIGroup: "keys.claviger.dev", APIVersion: "*", Resource: resource, Namespace: namespace, Name: name, ResourceRequest: true,
	})
}

func (k *Kubernetes) may(ctx context.Context, what authorizer.AttributesRecord) (bool, error) {
	decision, _, err := k.authorizer.Authorize(ctx, what)
	return decision == authorizer.DecisionAllow, err
}
