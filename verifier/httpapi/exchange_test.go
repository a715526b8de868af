package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

// What an exchange holds is used again for what somebody else asks.
func TestNoKeyOutlivesItsRequest(t *testing.T) {
	f := newFixture(t)
	question := `{"key":"` + f.key + `","scopes":{"allOf":["read"]}}`
	for target, body := range map[string]string{
		"/v1/verify":       question,
		"/v1/verify/batch": `{"requests":[` + question + `]}`,
		"/v1/introspect":   "token=" + f.key,
		"/v1/auth":         "",
		"/v1/usage":        `{"reports":[{"requestId":"r","key":"` + f.key + `"}]}`,
	} {
		r := httptest.NewRequest("POST", target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-API-Key", f.key)
		h := f.Handler.(*handler)
		x := newExchange(httptest.NewRecorder(), r)
		h.safely(h.doors[target], x)
		if x.status != http.StatusOK || x.question.request.Key+x.report.report.Key != f.key {
			t.Fatalf("%s: status %d, %s", target, x.status, x.out)
		}
		batch := x.batch
		x.release()
		if bytes.Contains(x.in[:cap(x.in)], []byte(f.key)) || x.question.request.Key != "" || x.report.report.Key != "" || x.Request != nil {
			t.Errorf("%s: the key is still there", target)
		}
		if !reflect.ValueOf(x.decision).IsZero() || len(batch) > 0 && batch[0] != nil {
			t.Errorf("%s: the decision or the questions are still there", target)
		}
	}
}

func TestAnswersAreNotMixedUp(t *testing.T) {
	const askers, questions = 8, 50
	f := newFixture(t)
	server := httptest.NewServer(f)
	defer server.Close()
	var group sync.WaitGroup
	for n := range askers {
		name := fmt.Sprintf("key-%d", n)
		key := indextest.Issue(t, f.index, name)
		group.Go(func() {
			for i := range questions {
				id := fmt.Sprintf("%s-%d", name, i)
				if got := askBoth(server.URL, key, id); got != [2]string{name, id + " " + name} {
					t.Errorf("%s was answered %q", id, got)
				}
			}
		})
	}
	group.Wait()
}

// askBoth asks two doors about a key, and returns whose it is told to be.
func askBoth(address, key, id string) (told [2]string) {
	ask := func(method, path, body string) (*http.Response, string) {
		r, err := http.NewRequest(method, address+path, strings.NewReader(body))
		if err != nil {
			return &http.Response{}, err.Error()
		}
		r.Header.Set("X-API-Key", key)
		r.Header.Set("X-Request-Id", id)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return &http.Response{}, err.Error()
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response, string(text)
	}
	response, _ := ask("GET", "/v1/auth", "")
	told[0] = response.Header.Get("X-Claviger-Key-Name")
	response, text := ask("POST", "/v1/verify", `{"key":"`+key+`"}`)
	_, text, _ = strings.Cut(text, `"name":"`)
	text, _, _ = strings.Cut(text, `"`)
	told[1] = response.Header.Get("X-Request-Id") + " " + text
	return told
}
