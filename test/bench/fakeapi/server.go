// Package fakeapi is an API server as far as a verifier's feed can see one: it lists and
// watches Claviger's kinds and the hashed Secrets, in the formats and with the protocol of a real
// one, over TLS and HTTP/2. A real one takes minutes to be filled with a hundred thousand keys;
// this one seconds, and it costs next to nothing beside the verifier that is measured.
//
// It believes every token, lets everybody do everything, and does not evaluate selectors: it
// holds nothing that a feed would not select.
package fakeapi

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Namespace is the operator's: where the Secrets are.
const Namespace = "claviger-system"

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(corev1.AddToScheme(s))
	return s
}()

// Server is a running API server.
type Server struct {
	http *httptest.Server
	door *door

	mutex     sync.Mutex
	version   uint64 // of the last change, of any resource
	resources map[string]*resource
}

// resource is one collection.
type resource struct {
	kind     kind
	objects  []object // in the order of their creation
	byName   map[string]int
	log      []change      // since the start, in order
	since    uint64        // the version from which the log is complete
	watchers chan struct{} // closed, and made anew, at each change
}

// object is one object, encoded as clients mostly ask for it.
type object struct {
	version uint64
	encoded []byte
}

type change struct {
	version uint64
	event   string
	encoded []byte
}

// Start starts an empty one.
func Start() *Server {
	s := &Server{resources: map[string]*resource{}, version: 1}
	mux := http.NewServeMux()
	for _, k := range kinds {
		r := &resource{kind: k, byName: map[string]int{}, watchers: make(chan struct{})}
		s.resources[k.name()] = r
		mux.Handle("GET "+k.path, s.serve(r))
	}
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", reviewToken)
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", reviewAccess)
	s.http = httptest.NewUnstartedServer(mux)
	s.door = &door{Listener: s.http.Listener}
	s.http.Listener = s.door
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	return s
}

// Close ends it, and cuts off whoever watches.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Config is how to reach it.
func (s *Server) Config() *rest.Config {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	return &rest.Config{Host: s.http.URL, BearerToken: "any", TLSClientConfig: rest.TLSClientConfig{CAData: authority}}
}

// Load adds objects that were there before anybody watched.
func (s *Server) Load(o client.Object) error {
	r := s.resourceOf(o)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	added, err := s.encode(r, o)
	if err != nil {
		return err
	}
	r.byName[client.ObjectKeyFromObject(o).String()] = len(r.objects)
	r.objects = append(r.objects, added)
	r.since = s.version
	return nil
}

// Set creates an object or changes it, and tells those who watch.
func (s *Server) Set(o client.Object) error {
	r := s.resourceOf(o)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	changed, err := s.encode(r, o)
	if err != nil {
		return err
	}
	name := client.ObjectKeyFromObject(o).String()
	event := "MODIFIED"
	if i, ok := r.byName[name]; ok {
		r.objects[i] = changed
	} else {
		event = "ADDED"
		r.byName[name] = len(r.objects)
		r.objects = append(r.objects, changed)
	}
	r.changed(change{changed.version, event, changed.encoded})
	return nil
}

// Delete deletes an object, if it is there, and tells those who watch.
func (s *Server) Delete(o client.Object) error {
	r := s.resourceOf(o)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	at, ok := r.byName[client.ObjectKeyFromObject(o).String()]
	if !ok {
		return nil
	}
	last, err := s.encode(r, o)
	if err != nil {
		return err
	}
	delete(r.byName, client.ObjectKeyFromObject(o).String())
	r.objects = slices.Delete(r.objects, at, at+1)
	for name, i := range r.byName {
		if i > at {
			r.byName[name] = i - 1
		}
	}
	r.changed(change{last.version, "DELETED", last.encoded})
	return nil
}

func (r *resource) changed(c change) {
	r.log = append(r.log, c)
	close(r.watchers)
	r.watchers = make(chan struct{})
}

// encode gives an object the next version.
func (s *Server) encode(r *resource, o client.Object) (object, error) {
	s.version++
	o.SetResourceVersion(versionText(s.version))
	encoded, err := r.kind.native.object(o)
	return object{s.version, encoded}, err
}

func (s *Server) resourceOf(o client.Object) *resource {
	for _, k := range kinds {
		if k.is(o) {
			return s.resources[k.name()]
		}
	}
	panic("fakeapi serves no such kind")
}
