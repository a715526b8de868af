package webhook

import (
	"context"
	"fmt"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// How many questions about one request are under way at once.
const questionsAtOnce = 8

// asker asks the API server what the user of a request may do.
type asker struct {
	reviews authorizationclient.SubjectAccessReviewInterface
}

// may asks one question. What cannot be asked is not allowed, and the error says to try again.
func (a asker) may(ctx context.Context, request admission.Request, what authorizationv1.ResourceAttributes) (bool, error) {
	user := request.UserInfo
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review, err := a.reviews.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra, ResourceAttributes: &what,
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, apierrors.NewServiceUnavailable(fmt.Sprintf(
			"cannot ask the API server whether you may %s %s, so nothing was changed: try again (%v)", what.Verb, what.Resource, err))
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}

// mayAll asks about several names of one thing, and says which of them are allowed.
func (a asker) mayAll(ctx context.Context, request admission.Request, what authorizationv1.ResourceAttributes, names []string) (map[string]bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu      sync.Mutex
		failed  error
		allowed = make(map[string]bool, len(names))
		places  = make(chan struct{}, questionsAtOnce)
		asking  sync.WaitGroup
	)
	for _, name := range names {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			named := what
			named.Name = name
			yes, err := a.may(ctx, request, named)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = err
				cancel() // the others cannot help any more
			}
			allowed[name] = yes
		})
	}
	asking.Wait()
	return allowed, failed
}
