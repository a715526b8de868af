package gateways

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is only how long a broken test takes.
const patience = 20 * time.Second

// clientHost is the name under which clients ask.
const clientHost = "api.example"

// request is sent as it is written: Go's own client would mend what hostile ones do not.
type request struct {
	method, target string   // GET and /orders/1 where empty
	headers        []string // "Name: value"
	body           string
}

type response struct {
	*http.Response
	body string
}

func (s *site) send(t *testing.T, q request) response {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodGet
	}
	if q.target == "" {
		q.target = "/orders/1"
	}
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	conn, err := dialer.Dial("tcp", s.gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))

	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n", q.method, q.target, clientHost)
	for _, header := range q.headers {
		text.WriteString(header + "\r\n")
	}
	if q.body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(q.body))
	}
	text.WriteString("\r\n" + q.body)
	if _, err := io.WriteString(conn, text.String()); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: q.method})
	if err != nil {
		t.Fatalf("%s %s: %v", q.method, q.target, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", q.method, q.target, err)
	}
	return response{r, string(body)}
}

// problem is what the verifier has to say to a client that it refuses.
type problem struct{ Error, Code, RequestID string }

func (r response) problem(t *testing.T) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("status %d, and the body is not the verifier's: %v\n%s", r.StatusCode, err, r.body)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	return p
}

func bearing(key string, headers ...string) []string {
	return append([]string{"X-API-Key: " + key}, headers...)
}
