package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// client-go logs the bodies of requests and answers at high levels, with whatever logger it
// finds in a context; controller-runtime puts ours there.
func TestNoLevelLogsTheBodiesOfRequests(t *testing.T) {
	const secret = "plaintxt"
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		io.Copy(w, r.Body) //nolint:errcheck // the client notices
	}))
	defer echo.Close()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)

	log := captureStderr(t, func() {
		logger, err := setUpLogs("127")
		if err != nil {
			t.Fatal(err)
		}
		api, err := client.New(&rest.Config{Host: echo.URL}, client.Options{Mapper: mapper})
		if err != nil {
			t.Fatal(err)
		}
		if err := api.Create(ctrl.LoggerInto(context.Background(), logger), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"},
			Data:       map[string][]byte{"api-key": []byte(secret)},
		}); err != nil {
			t.Fatal(err)
		}
		logger.V(100).Info("logged at all")
	})
	if !strings.Contains(log, "logged at all") {
		t.Fatalf("nothing was captured: %s", log)
	}
	if strings.Contains(log, secret) || strings.Contains(log, "Request Body") {
		t.Errorf("a Secret is in the log:\n%s", log)
	}
}

// captureStderr returns what run writes there. It is small enough for a pipe.
func captureStderr(t *testing.T, run func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = stderr }()
	run()
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
