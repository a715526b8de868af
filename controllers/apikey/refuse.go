package apikey

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// refusalRetry is when to try again what was refused: nothing tells when a quota grows.
const refusalRetry = time.Minute

// refused turns a refusal of the API server into a problem that a person sees. All other errors
// are returned.
func (s *scope) refused(err error) error {
	if isNamespaceTerminating(err) || !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) && !apierrors.IsRequestEntityTooLargeError(err) {
		return err
	}
	s.fail(&problem{reason: v1alpha1.ReasonWriteRefused, message: s.refusalText(err), retryAfter: refusalRetry})
	return nil
}

// refusalText is what a person is told of a refusal. While the last one is told, its text stays: some webhooks put the
// time or a request's ID into theirs, and a status that changes each time would have it tried again at once.
func (s *scope) refusalText(err error) string {
	ready := meta.FindStatusCondition(s.key.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == v1alpha1.ReasonWriteRefused && ready.ObservedGeneration == s.key.Generation {
		return ready.Message
	}
	return "The API server refused a Secret: " + err.Error()
}

// isNamespaceTerminating says that nothing can be created because the namespace is being deleted.
func isNamespaceTerminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// isNamespaceMissing says that nothing can be created because there is no such namespace.
func isNamespaceMissing(err error, namespace string) bool {
	details := notFound(err)
	return details != nil && details.Kind == "namespaces" && details.Name == namespace
}

// isDeletedMeanwhile says that the ApiKey, its namespace or one of its Secrets was deleted between
// reading and writing.
func (s *scope) isDeletedMeanwhile(err error) bool {
	details := notFound(err)
	if s.key == nil || details == nil {
		return false
	}
	switch details.Kind {
	case "namespaces":
		return details.Name == s.name.Namespace
	case "apikeys":
		return details.Name == s.name.Name
	}
	return details.Kind == "secrets"
}

// notFound returns what was not found; nil: the error says something else.
func notFound(err error) *metav1.StatusDetails {
	var status apierrors.APIStatus
	if !isGone(err) || !errors.As(err, &status) {
		return nil
	}
	return status.Status().Details
}

// isGone says that an object does not exist. A server that does not know the kind says 404,
// too; that is no proof.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// withhold returns the error, or another that does not quote the Secret's data. Admission
// webhooks may answer whatever they like, and what they answer is logged and shown.
func withhold(err error, data map[string][]byte) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for key, value := range data {
		if key == v1alpha1.DataKeyKeyID || len(value) == 0 {
			continue
		}
		for _, form := range []string{string(value), base64.StdEncoding.EncodeToString(value)} {
			if strings.Contains(text, form) {
				return withheld(err)
			}
		}
	}
	return err
}

func withheld(err error) error {
	const text = "the refusal quotes the Secret's data, so it is withheld: look into the API server's audit log or at its admission webhooks"
	reason := apierrors.ReasonForError(err)
	if reason == metav1.StatusReasonUnknown {
		return errors.New(text)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Reason: reason,
		Code: statusCode(err), Message: fmt.Sprintf("%s: %s", reason, text)}}
}

func statusCode(err error) int32 {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}
