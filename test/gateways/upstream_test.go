package gateways

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// upstream is the service that the gateways protect. It remembers what reached it.
type upstream struct {
	address string
	mutex   sync.Mutex
	seen    []arrival
}

type arrival struct {
	method, target, host, body string
	header                     http.Header
}

const upstreamSays = "hello from the service"

func startUpstream(t *testing.T) *upstream {
	u := &upstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mutex.Lock()
		u.seen = append(u.seen, arrival{r.Method, r.RequestURI, r.Host, string(body), r.Header.Clone()})
		u.mutex.Unlock()
		if status, err := strconv.Atoi(r.Header.Get("Answer-With")); err == nil {
			w.WriteHeader(status)
		}
		io.WriteString(w, upstreamSays)
	}))
	t.Cleanup(server.Close)
	u.address = server.Listener.Addr().String()
	return u
}

// take returns what reached the service since it was asked last.
func (u *upstream) take() []arrival {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	seen := u.seen
	u.seen = nil
	return seen
}

// variables are the headers as CGI, WSGI, PHP and others present them to programs: spelled
// in one way, so that X_Claviger_Key_Id and X-Claviger-Key-Id are the same.
func (a arrival) variables() map[string][]string {
	variables := map[string][]string{}
	for name, values := range a.header {
		name = strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
				return c
			}
			return '_'
		}, strings.ToUpper(name))
		variables[name] = append(variables[name], values...)
	}
	return variables
}
