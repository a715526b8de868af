package httpapi

import (
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/connlimit"
)

// patience is for what the other end has to do first.
const patience = 30 * time.Second

// The ways to be slow: what is sent of a request before nothing more comes.
func slowRequests(key string) map[string]string {
	return map[string]string{
		"nothing at all":    "",
		"half a header":     "GET /v1/auth HTTP/1.1\r\nHost: verifier\r\nX-API-Key: ",
		"no end of headers": "GET /v1/auth HTTP/1.1\r\nHost: verifier\r\n",
		"no body":           "POST /v1/verify HTTP/1.1\r\nHost: verifier\r\nContent-Length: 1000\r\n\r\n",
		"half a body":       "POST /v1/verify HTTP/1.1\r\nHost: verifier\r\nContent-Length: 1000\r\n\r\n{\"key\":",
		"half a chunk":      "POST /v1/introspect HTTP/1.1\r\nHost: verifier\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\ntoken=",
		"an unread body":    "GET /v1/auth HTTP/1.1\r\nHost: verifier\r\nX-API-Key: " + key + "\r\nContent-Length: 1000\r\n\r\n",
		"no reading": strings.Repeat("POST /v1/verify/batch HTTP/1.1\r\nHost: verifier\r\nContent-Length: 15\r\n\r\n{\"requests\":[]}",
			100),
	}
}

// attack opens many slow connections from an address, and holds them until the test ends. What the
// other end refuses or closes is opened no second time.
func attack(t *testing.T, from, to, request string, connections int) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for range connections {
		conn, err := dialer.Dial("tcp", to)
		if err != nil {
			continue // refused
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, request)
	}
}

// endlessly serves the doors with low limits and no timeouts, so that who is slow stays so.
func endlessly(t *testing.T, f *fixture, limits connlimit.Options, maxInFlight int) (address string) {
	t.Helper()
	f.Handler.(*handler).gate = newGate(maxInFlight)
	limiter, err := connlimit.New(limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(limiter.Limit(listener)) }()
	t.Cleanup(func() { server.Close(); <-ended })
	return listener.Addr().String()
}

// eventuallyAnswers asks until it is answered 200, as often as it is told to try again.
func eventuallyAnswers(t *testing.T, address, method, path, key, body string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		status, err := ask(address, method, path, key, body)
		if err == nil && status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("%s %s was answered with %d, %v", method, path, status, err)
		}
	}
}

// ask asks once, over a connection of its own.
func ask(address, method, path, key, body string) (int, error) {
	r, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", key)
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// More slow clients than there is room for in flight, in each of the ways, and none of them ever
// goes away: others are answered, though the first may be told to try again.
func TestSlowClientsDoNotStopOthers(t *testing.T) {
	f := newFixture(t)
	for name, request := range slowRequests(f.key) {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			address := endlessly(t, f, connlimit.Options{Max: 1000, PerSource: 1000}, 16)
			attack(t, "127.0.0.2", address, request, 100)
			for range 10 {
				eventuallyAnswers(t, address, "GET", "/v1/auth", f.key, "")
				eventuallyAnswers(t, address, "POST", "/v1/verify", f.key, `{"key":"`+f.key+`"}`)
				eventuallyAnswers(t, address, "POST", "/v1/verify/batch", f.key, `{"requests":[{"key":"`+f.key+`"}]}`)
				eventuallyAnswers(t, address, "POST", "/v1/usage", f.key, `{"requestId":"r","key":"`+f.key+`"}`)
				if status, err := ask(address, "GET", "/healthz", "", ""); err != nil || status != 200 {
					t.Errorf("a health check was answered with %d, %v", status, err)
				}
			}
		})
	}
}

// A source that opens all the connections it gets leaves those of others.
func TestASourceCannotTakeAllConnectionsOfOthers(t *testing.T) {
	f := newFixture(t)
	address := endlessly(t, f, connlimit.Options{Max: 40, PerSource: 20}, 0)
	attack(t, "127.0.0.2", address, "GET /v1/auth HTTP/1.1\r\n", 100)
	for range 10 {
		if status, err := ask(address, "GET", "/v1/auth", f.key, ""); err != nil || status != 200 {
			t.Errorf("another source was answered with %d, %v", status, err)
		}
	}
}
