package ask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/internal/cli/fault"
)

// What is read of an answer at most, in bytes, and how long it may take.
const (
	maxAnswer = 1 << 20
	patience  = 15 * time.Second
)

// The Service of config/verifier/service.yaml, as the proxy wants it: scheme, name and port's name.
const (
	Service = "claviger-verifier"
	proxied = "http:" + Service + ":http"
)

// AtURL asks a verifier at its address.
func AtURL(address string) (Verifier, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("--verifier-url (or CLAVIGER_VERIFIER_URL) must be a URL such as http://127.0.0.1:8080")
	}
	if base.User != nil || base.RawQuery != "" {
		return nil, errors.New("--verifier-url must have neither a user nor a query: the doors want neither")
	}
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it redirects, and a key is not sent on to wherever that leads")
	}}
	return &direct{base, client}, nil
}

type direct struct {
	base   *url.URL
	client *http.Client
}

func (d *direct) Post(ctx context.Context, door string, body []byte) (int, []byte, error) {
	return d.do(ctx, http.MethodPost, door, body)
}

func (d *direct) Get(ctx context.Context, door string) (int, []byte, error) {
	return d.do(ctx, http.MethodGet, door, nil)
}

func (d *direct) do(ctx context.Context, method, door string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, d.base.JoinPath(door).String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return 0, nil, fault.Say(err, "the verifier at %s does not answer: %v: is it running, and is --verifier-url right?", d.base.Redacted(), cause(err))
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, fault.Say(err, "the answer of the verifier at %s was cut off: %v: try again", d.base.Redacted(), cause(err))
	}
	return response.StatusCode, text, nil
}

// cause leaves out the method and the URL, which are said already.
func cause(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// Proxied asks the verifier of a cluster through its API server, which the namespace's right to create (and for Get, to
// get) services/proxy permits.
func Proxied(config *rest.Config, namespace string) (Verifier, error) {
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &proxy{clientset.CoreV1().RESTClient(), namespace}, nil
}

type proxy struct {
	client    rest.Interface
	namespace string
}

func (p *proxy) Post(ctx context.Context, door string, body []byte) (int, []byte, error) {
	return p.do(ctx, p.client.Post().Body(body).SetHeader("Content-Type", "application/json"), "create", door)
}

func (p *proxy) Get(ctx context.Context, door string) (int, []byte, error) {
	return p.do(ctx, p.client.Get(), "get", door)
}

func (p *proxy) do(ctx context.Context, request *rest.Request, verb, door string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var status int
	result := request.Namespace(p.namespace).Resource("services").Name(proxied).SubResource("proxy").Suffix(strings.Split(door, "/")...).
		SetHeader("Accept", "application/json, */*").MaxRetries(0).Do(ctx).StatusCode(&status)
	text, err := result.Raw()
	if err == nil || answered(text) {
		return status, text, nil
	}
	return 0, nil, p.sentence(err, verb)
}

// answered tells what the verifier says from what the API server says of it: only the former has a code in capitals,
// or is plain text.
func answered(text []byte) bool {
	return bytes.HasPrefix(text, []byte(`{`)) && !bytes.Contains(text, []byte(`"kind":"Status"`)) || bytes.HasPrefix(text, []byte("not ready"))
}

func (p *proxy) sentence(err error, verb string) error {
	const instead = "or give --verifier-url the address of a verifier that you reach yourself"
	switch {
	case apierrors.IsForbidden(err):
		return fault.Say(err, "you may not ask the verifier through the API server: that needs the verb %s on services/proxy, resource name %s, in namespace %s; %s",
			verb, proxied, p.namespace, instead)
	case apierrors.IsNotFound(err):
		return fault.Say(err, "there is no Service %s in namespace %s: is Claviger installed in another one (--system-namespace)? %s", Service, p.namespace, instead)
	case apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
		return fault.Say(err, "the API server cannot reach Service %s in namespace %s: is a verifier running there? %s (%v)", Service, p.namespace, instead, err)
	}
	return fault.Say(err, "the verifier could not be asked through the API server: %v; %s", err, instead)
}
