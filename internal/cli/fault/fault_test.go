package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var apikeys = schema.GroupResource{Group: "keys.claviger.dev", Resource: "apikeys"}

func TestErrorsOfAClusterBecomeSentences(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{apierrors.NewForbidden(apikeys, "x", errors.New(`User "eve" cannot get resource "apikeys"`)), "Ask for that right"},
		{apierrors.NewForbidden(apikeys, "x", errors.New("exceeded quota: keys")), "it was refused"},
		{apierrors.NewUnauthorized("no"), "log in again"},
		{apierrors.NewNotFound(apikeys, "x"), `apikeys.keys.claviger.dev "x" not found`},
		{apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", "", 0, true), "install Claviger first"},
		{&apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Group: apikeys.Group, Kind: "ApiKey"}}, "install Claviger first"},
		{apierrors.NewAlreadyExists(apikeys, "x"), "choose another name"},
		{apierrors.NewConflict(apikeys, "x", errors.New("changed")), "try again"},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "apikeys.keys.claviger.dev"`)), "kubectl claviger doctor"},
		{&url.Error{Op: "Get", URL: "https://x", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, "is the cluster running"},
		{fmt.Errorf("waiting: %w", context.Canceled), "stopped before it was done"},
	} {
		got := Told(c.err)
		if !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v became %q, without %q", c.err, got, c.want)
		}
		if !errors.Is(got, c.err) && errors.Unwrap(got) != c.err {
			t.Errorf("the cause %v was lost", c.err)
		}
	}
}

func TestSeveralFaultsHaveALineEach(t *testing.T) {
	err := apierrors.NewInvalid(schema.GroupKind{Group: apikeys.Group, Kind: "ApiKey"}, "x", field.ErrorList{
		field.Required(field.NewPath("spec", "a"), "write it"), field.Required(field.NewPath("spec", "b"), "and this")})
	if got := Told(err).Error(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "  spec.b: ") {
		t.Errorf("%q", got)
	}
}

func TestOtherErrorsStayWhatTheyAre(t *testing.T) {
	err := errors.New("something else")
	if Told(err) != err || Told(nil) != nil || Told(Told(apierrors.NewUnauthorized("no"))).Error() != Told(apierrors.NewUnauthorized("no")).Error() {
		t.Error("they were changed")
	}
}
