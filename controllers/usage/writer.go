package usage

import (
	"io"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewWriter makes a client that gives up at once where the API server asks to come back later. Any
// other asks again by itself, up to ten times for one status, while all others wait and no budget counts it.
func NewWriter(config *rest.Config, o client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	o.HTTPClient = nil
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	return client.New(config, o)
}

// once takes answers that say when to come back for errors.
type once struct{ next http.RoundTripper }

// As much of an answer's body as is read to keep the connection.
const maxDrained = 64 << 10

func (o once) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusTooManyRequests && response.StatusCode < http.StatusInternalServerError {
		return response, err
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil {
		return response, nil // so client-go does not ask again either
	}
	io.CopyN(io.Discard, response.Body, maxDrained) //nolint:errcheck // it costs a connection
	response.Body.Close()                           //nolint:errcheck // likewise
	return nil, apierrors.NewGenericServerResponse(response.StatusCode, request.Method, schema.GroupResource{}, "", "", max(seconds, 0), true)
}

// WrappedRoundTripper lets client-go look for what is wrapped.
func (o once) WrappedRoundTripper() http.RoundTripper { return o.next }
