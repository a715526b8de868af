package fakeapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const patience = 30 * time.Second

func start(t *testing.T, objects ...client.Object) *Server {
	t.Helper()
	s := Start()
	t.Cleanup(s.Close)
	for _, o := range objects {
		if err := s.Load(o); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func apiKey(name string, edits ...func(*v1alpha1.ApiKey)) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: name, UID: "11111111-2222-4333-8444-555555555555"}}
	for _, edit := range edits {
		edit(k)
	}
	return k
}

func secret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.SecretHashed}},
		Type:       v1alpha1.SecretTypeHash, Data: map[string][]byte{"hash": []byte("0123")},
	}
}

// restClient is client-go's, for a kind and a format.
func restClient(t *testing.T, s *Server, k kind, contentType string, wraps ...transport.WrapperFunc) *rest.RESTClient {
	t.Helper()
	config := s.Config()
	for _, wrap := range wraps {
		config.Wrap(wrap)
	}
	config.QPS = -1
	config.APIPath = "/apis"
	if k.version.Group == "" {
		config.APIPath = "/api"
	}
	config.GroupVersion = &k.version
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = contentType, contentType
	c, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mirror runs client-go's own reflector.
func mirror(t *testing.T, s *Server, k kind, contentType string) cache.Store {
	t.Helper()
	namespace := ""
	if k.kind == "Secret" {
		namespace = Namespace
	}
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	source := cache.NewListWatchFromClient(restClient(t, s, k, contentType, refuseLists(t)), k.name(), namespace, fields.Everything())
	reflector := cache.NewReflector(source, k.example, store, 0)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); reflector.Run(stop) }()
	t.Cleanup(func() { close(stop); <-done })
	return store
}

// refuseLists makes sure that all is streamed: a client whose stream goes wrong would list.
func refuseLists(t *testing.T) transport.WrapperFunc {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("sendInitialEvents") != "true" {
				t.Errorf("asked for %s", r.URL.RawQuery)
			}
			return next.RoundTrip(r)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func kindOf(o client.Object) kind {
	for _, k := range kinds {
		if k.is(o) {
			return k
		}
	}
	panic("unknown")
}

func TestAReflectorSeesWhatThereIsAndWhatChanges(t *testing.T) {
	for name, test := range map[string]struct {
		contentType string
		object      func(name string) client.Object
	}{
		"custom resources as JSON": {runtime.ContentTypeJSON, func(name string) client.Object { return apiKey(name) }},
		"Secrets as protobuf":      {runtime.ContentTypeProtobuf, func(name string) client.Object { return secret(name) }},
		"Secrets as JSON":          {runtime.ContentTypeJSON, func(name string) client.Object { return secret(name) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.object("a"), test.object("b"))
			store := mirror(t, s, kindOf(test.object("")), test.contentType)
			label := func(name string) string {
				key := client.ObjectKeyFromObject(test.object(name)).String()
				o, ok, _ := store.GetByKey(key)
				if !ok {
					return "missing"
				}
				return o.(client.Object).GetLabels()["edited"]
			}
			await(t, "both are known", func() bool { return len(store.List()) == 2 })

			edited := test.object("a")
			edited.SetLabels(map[string]string{"edited": "yes"})
			if err := s.Set(edited); err != nil {
				t.Fatal(err)
			}
			await(t, "a change", func() bool { return label("a") == "yes" })
			if err := s.Set(test.object("c")); err != nil {
				t.Fatal(err)
			}
			await(t, "one more", func() bool { return label("c") == "" })
			if err := s.Delete(test.object("b")); err != nil {
				t.Fatal(err)
			}
			await(t, "a deletion", func() bool { return label("b") == "missing" && len(store.List()) == 2 })
		})
	}
}

func TestListsHoldWhatThereIs(t *testing.T) {
	s := start(t, apiKey("a", func(k *v1alpha1.ApiKey) { k.Spec.DisplayName = "A" }), secret("s"))
	keys := &v1alpha1.ApiKeyList{}
	if err := restClient(t, s, kindOf(apiKey("")), runtime.ContentTypeJSON).Get().Resource("apikeys").Do(t.Context()).Into(keys); err != nil {
		t.Fatal(err)
	}
	if len(keys.Items) != 1 || keys.Items[0].Spec.DisplayName != "A" || keys.ResourceVersion == "" {
		t.Errorf("got %+v", keys)
	}
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		secrets := &corev1.SecretList{}
		get := restClient(t, s, kindOf(secret("")), contentType).Get().Namespace(Namespace).Resource("secrets")
		if err := get.Do(t.Context()).Into(secrets); err != nil {
			t.Fatal(err)
		}
		if len(secrets.Items) != 1 || string(secrets.Items[0].Data["hash"]) != "0123" || secrets.ResourceVersion == "" {
			t.Errorf("%s: got %+v", contentType, secrets)
		}
	}
}

func TestAWatchGoesOnFromAVersionOrSaysThatItIsGone(t *testing.T) {
	s := start(t, apiKey("a"), apiKey("b"))
	c := restClient(t, s, kindOf(apiKey("")), runtime.ContentTypeJSON)
	list := &v1alpha1.ApiKeyList{}
	if err := c.Get().Resource("apikeys").Do(t.Context()).Into(list); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := s.Set(apiKey(fmt.Sprint("later", i))); err != nil {
			t.Fatal(err)
		}
	}
	watch := func(version string) ([]string, error) {
		w, err := c.Get().Resource("apikeys").Param("watch", "true").Param("resourceVersion", version).Param("timeoutSeconds", "1").Watch(t.Context())
		if err != nil {
			return nil, err
		}
		defer w.Stop()
		var names []string
		for event := range w.ResultChan() {
			names = append(names, event.Object.(client.Object).GetName())
		}
		return names, nil
	}
	if names, err := watch(list.ResourceVersion); err != nil || strings.Join(names, " ") != "later0 later1 later2" {
		t.Errorf("from the list: %v, %v", names, err)
	}
	if _, err := watch("2"); !apierrors.IsResourceExpired(err) {
		t.Errorf("from before the log: %v", err)
	}
}

func TestWhatChangesWhileItIsAwayIsSeenAfterwards(t *testing.T) {
	s := start(t, apiKey("a"))
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	k := kindOf(apiKey(""))
	reflector := cache.NewReflector(cache.NewListWatchFromClient(restClient(t, s, k, runtime.ContentTypeJSON), k.name(), "", fields.Everything()), k.example, store, 0)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); reflector.Run(stop) }()
	defer func() { close(stop); <-done }()
	await(t, "one key", func() bool { return len(store.List()) == 1 })
	s.GoAway()
	if err := restClient(t, s, k, runtime.ContentTypeJSON).Get().Resource("apikeys").MaxRetries(0).Do(t.Context()).Error(); err == nil {
		t.Error("it is away, and answers")
	}
	if err := s.Set(apiKey("b")); err != nil {
		t.Fatal(err)
	}
	s.Return()
	await(t, "both keys", func() bool { return len(store.List()) == 2 })
}

func TestWhoReviewsIsToldYes(t *testing.T) {
	s := start(t)
	c, err := rest.HTTPClientFor(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/apis/authentication.k8s.io/v1/tokenreviews":        `{"spec":{"token":"t","audiences":["a"]}}`,
		"/apis/authorization.k8s.io/v1/subjectaccessreviews": `{"spec":{"user":"u"}}`,
	} {
		answer, err := c.Post(s.Config().Host+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}
