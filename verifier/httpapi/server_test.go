package httpapi

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// serve runs the doors on a real socket. The returned function ends them and tells how.
func serve(t *testing.T, handler http.Handler) (address string, end func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, handler, time.Minute, logr.Discard()) }()
	return listener.Addr().String(), func() error { cancel(); return <-ended }
}

// raw sends bytes as they are, and returns the answer as it came.
func raw(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestHeadersCannotBeInjected(t *testing.T) {
	f := newFixture(t)
	address, end := serve(t, f)
	const tail = "Host: verifier\r\nConnection: close\r\n\r\n"
	for name, request := range map[string]string{
		"in the request ID":        "GET /v1/auth HTTP/1.1\r\nX-API-Key: " + f.key + "\r\nX-Request-Id: a\rX-Evil: 1\r\n" + tail,
		"in the scope":             "GET /v1/auth?scope=a%0d%0aX-Evil:%201 HTTP/1.1\r\nX-API-Key: " + f.key + "\r\n" + tail,
		"in a parameter's name":    "GET /v1/auth?%0d%0aX-Evil:%201 HTTP/1.1\r\nX-API-Key: " + f.key + "\r\n" + tail,
		"in the workspace":         "GET /v1/auth HTTP/1.1\r\nX-API-Key: " + f.key + "\r\nX-Workspace-Id: a\rX-Evil: 1\r\n" + tail,
		"in a path that is tidied": "GET //v1/auth%0d%0aX-Evil:%201 HTTP/1.1\r\n" + tail,
		"in the key":               "GET /v1/auth HTTP/1.1\r\nX-API-Key: " + f.key + "%0d%0aX-Evil: 1\r\n" + tail,
	} {
		head, _, _ := strings.Cut(raw(t, address, request), "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 ") || strings.Contains(head, "\nX-Evil") || strings.Contains(head, "\rX-Evil") {
			t.Errorf("%s: the answer begins\n%s", name, head)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestHeadersWithoutEndAreRefused(t *testing.T) {
	f := newFixture(t)
	address, end := serve(t, f)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server may stop reading, so what it answers is read meanwhile.
	go io.WriteString(conn, "GET /v1/auth HTTP/1.1\r\nHost: verifier\r\nX-API-Key: "+strings.Repeat("a", 2*maxHeaderBytes)+"\r\n\r\n") //nolint:errcheck // the answer tells
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 431 ") {
		t.Errorf("got %q, %v", status, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestWhatWasBegunIsFinishedBeforeTheEnd(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	address, end := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-proceed
		io.WriteString(w, "done") //nolint:errcheck // the test reads it
	}))
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + address)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	// Once it no longer listens it is ending.
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
	}
	close(proceed)
	if got := <-answered; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestALostListenerIsReported(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := Serve(t.Context(), listener, http.NotFoundHandler(), time.Minute, logr.Discard()); err == nil {
		t.Error("it ended without an error")
	}
}
