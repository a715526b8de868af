// Package agreement holds the fake API server against a real one: what a feed gets to read must
// have the same form.
package agreement

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/controlplane"
)

const watchList = "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

func TestStreamsHaveTheFormOfAReal(t *testing.T) {
	plane, err := controlplane.Start(controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Stop() //nolint:errcheck // the test is over
	people, err := population.New(1)
	if err != nil {
		t.Fatal(err)
	}
	key, secret := population.Deployed(0), people.Credential(0).Secret(fakeapi.Namespace)
	fake := fakeapi.Start()
	defer fake.Close()
	for _, o := range []client.Object{key, secret} {
		if err := fake.Load(o); err != nil {
			t.Fatal(err)
		}
	}
	create(t, plane.Config, population.ApiKey(0), secret)

	for name, test := range map[string]struct {
		path, accept string
		read         func(io.Reader) (string, error)
	}{
		"custom resources as JSON": {"/apis/keys.claviger.dev/v1alpha1/apikeys", runtime.ContentTypeJSON, readJSON},
		"Secrets as JSON":          {"/api/v1/namespaces/" + fakeapi.Namespace + "/secrets", runtime.ContentTypeJSON, readJSON},
		"Secrets as protobuf":      {"/api/v1/namespaces/" + fakeapi.Namespace + "/secrets", runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON, readProtobuf},
	} {
		t.Run(name, func(t *testing.T) {
			var streams [2]string
			for i, config := range []*rest.Config{plane.Config, fake.Config()} {
				streams[i] = stream(t, config, test.path+watchList, test.accept, test.read)
			}
			if streams[0] != streams[1] || !strings.Contains(streams[0], "BOOKMARK") {
				t.Errorf("the real one sends\n%s\nand the fake one\n%s", streams[0], streams[1])
			}
		})
	}
}

func create(t *testing.T, config *rest.Config, objects ...client.Object) {
	t.Helper()
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, scheme.AddToScheme} {
		if err := add(known); err != nil {
			t.Fatal(err)
		}
	}
	api, err := client.New(config, client.Options{Scheme: known})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.GetNamespace()}}
		if err := client.IgnoreAlreadyExists(api.Create(t.Context(), namespace)); err != nil {
			t.Fatal(err)
		}
		o.SetResourceVersion("")
		if err := api.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// stream is the form of what is streamed up to the end of the initial events: each event with
// the fields that its object has, in no order, but not what is in them.
func stream(t *testing.T, config *rest.Config, url, accept string, read func(io.Reader) (string, error)) string {
	t.Helper()
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	form := response.Status + " " + response.Header.Get("Content-Type") + "\n"
	for body := bufio.NewReader(response.Body); !strings.Contains(form, "BOOKMARK"); {
		event, err := read(body)
		if err != nil {
			t.Fatalf("after %s: %v", form, err)
		}
		form += event + "\n"
	}
	return form
}

func readJSON(r io.Reader) (string, error) {
	line, err := r.(*bufio.Reader).ReadBytes('\n')
	if err != nil {
		return "", err
	}
	var event struct {
		Type   string
		Object map[string]any
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return "", err
	}
	if event.Type == "BOOKMARK" {
		metadata, _ := event.Object["metadata"].(map[string]any)
		return fmt.Sprint(event.Type, event.Object["apiVersion"], event.Object["kind"], metadata["annotations"]), nil
	}
	fields := []string{}
	for field := range event.Object {
		if field != "status" { // the real one has no operator beside it
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fmt.Sprint(event.Type, event.Object["apiVersion"], event.Object["kind"], fields), nil
}

func readProtobuf(r io.Reader) (string, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return "", err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return "", err
	}
	event := metav1.WatchEvent{}
	if err := event.Unmarshal(frame); err != nil {
		return "", err
	}
	object, kind, err := scheme.Codecs.UniversalDeserializer().Decode(event.Object.Raw, nil, nil)
	if err != nil {
		return "", err
	}
	secret := object.(*corev1.Secret)
	return fmt.Sprint(event.Type, kind, string(event.Object.Raw[:4]), len(secret.Data), secret.Type, secret.Annotations[metav1.InitialEventsAnnotationKey]), nil
}
