// Package fault makes sentences that tell a person what to do of the errors that a cluster gives.
package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// told is an error that is a sentence already.
type told struct {
	text  string
	cause error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.cause }

// Say makes an error that says what it is about by itself. Told leaves it as it is, whatever the cause.
func Say(cause error, format string, args ...any) error {
	return &told{fmt.Sprintf(format, args...), cause}
}

// Told says whether an error of a cluster is behind err, and says it so that somebody knows what to do. Other errors
// are returned as they are, and so is nil.
func Told(err error) error {
	var already *told
	if err == nil || errors.As(err, &already) {
		return err
	}
	if text := text(err); text != "" {
		return &told{text, err}
	}
	return err
}

func text(err error) string {
	var status apierrors.APIStatus
	var unreachable net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped before it was done: what was asked of the cluster until then holds"
	case clientcmd.IsEmptyConfig(err):
		return "no cluster is configured: give --kubeconfig or --context, or set KUBECONFIG"
	case clientcmd.IsContextNotFound(err):
		return err.Error() + ": kubectl config get-contexts lists those that there are"
	case clientcmd.IsConfigurationInvalid(err):
		return "the kubeconfig cannot be used: " + err.Error()
	case notInstalled(err):
		return "the cluster does not know Claviger's kinds: install Claviger first, or choose another cluster with --context"
	case errors.As(err, &status):
		return ofStatus(err, status.Status())
	case errors.As(err, &unreachable):
		return fmt.Sprintf("the API server cannot be reached: %v: is the cluster running, and is --context the right one?", inner(err))
	}
	return ""
}

func notInstalled(err error) bool {
	if apimeta.IsNoMatchError(err) {
		return true
	}
	// Without the kind the API server knows no such path; an object that is missing is named.
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name == ""
}

func ofStatus(err error, status metav1.Status) string {
	message := strings.TrimSpace(status.Message)
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(message, " cannot "):
		return "you may not do that: " + message + ". Ask for that right, or try as somebody else with --as"
	case apierrors.IsForbidden(err):
		return "it was refused: " + message
	case apierrors.IsUnauthorized(err):
		return "the API server does not know who you are: log in again, or choose another user with --user or --context"
	case apierrors.IsAlreadyExists(err):
		return message + ": choose another name, or look at it with kubectl claviger explain"
	case apierrors.IsConflict(err):
		return message + ": try again"
	case apierrors.IsInvalid(err):
		return causes(message, status.Details)
	case apierrors.IsInternalError(err) && strings.Contains(message, "failed calling webhook"):
		return message + ": the operator answers as the webhook, so it seems to be down: run kubectl claviger doctor"
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err):
		return message + ": try again in a moment"
	}
	return message
}

// causes puts each fault on a line of its own where there are several.
func causes(message string, details *metav1.StatusDetails) string {
	if details == nil || len(details.Causes) < 2 {
		return message
	}
	lines := []string{fmt.Sprintf("%s %q is invalid:", details.Kind, details.Name)}
	for _, cause := range details.Causes {
		lines = append(lines, "  "+cause.Field+": "+cause.Message)
	}
	return strings.Join(lines, "\n")
}

func inner(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}
