package feed

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/keyindex"
)

func TestAnAnswerThatCannotBeUsedIsNotHeard(t *testing.T) {
	l := &liar{breaks: make(chan struct{})}
	var broken, vain atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "apikeys" && r.URL.Query().Get("watch") == "" && broken.Load() > 0 {
			vain.Add(1)
			l.answer(w, http.StatusOK, map[string]any{
				"kind": "ApiKeyList", "apiVersion": "keys.claviger.dev/v1alpha1", "metadata": map[string]any{"resourceVersion": "5"},
				"items": []any{map[string]any{"spec": map[string]any{"displayName": 7}}},
			})
			return
		}
		l.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	clock := clocktesting.NewFakeClock(time.Now())
	f, err := New(Options{
		Config: &rest.Config{Host: server.URL}, Namespace: "operator", Index: keyindex.New(), Log: logr.Discard(), Clock: clock, MaxStaleness: 2 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, f)
	eventually(t, "it is ready", func() bool { return f.Ready() == nil })
	broken.Store(1)
	clock.Step(3 * time.Hour)
	// Again and again: a kind may have been between its list and its watch, and not have noticed.
	anew := func() { l.relist(func() {}) }
	eventually(t, "its lists are in vain", func() bool {
		anew()
		_, heard := f.contacts.age(f.contacts.byResource["secrets"])
		return vain.Load() >= 2 && heard
	})
	if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "has not answered for 3h") {
		t.Errorf("with ApiKeys of three hours ago: %v", err)
	}
	broken.Store(0)
	eventually(t, "it is ready again", func() bool {
		anew()
		return f.Ready() == nil
	})
}

func TestWhatAWatchSaysIsHeard(t *testing.T) {
	event := func(kind string) []byte {
		object := map[string]any{"kind": "ApiKey", "apiVersion": "keys.claviger.dev/v1alpha1", "metadata": metav1.ObjectMeta{ResourceVersion: "9"}}
		text, err := json.Marshal(map[string]any{"type": kind, "object": object})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	l := &liar{breaks: make(chan struct{})}
	events := make(chan []byte)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if path.Base(r.URL.Path) != "apikeys" || query.Get("watch") == "" || query.Get("sendInitialEvents") != "" {
			l.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		for {
			w.(http.Flusher).Flush()
			select {
			case text := <-events:
				w.Write(text)
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	clock := clocktesting.NewFakeClock(time.Now())
	f, err := New(Options{Config: &rest.Config{Host: server.URL}, Namespace: "operator", Index: keyindex.New(), Log: logr.Discard(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	run(t, f)
	eventually(t, "it is ready", func() bool { return f.Ready() == nil })
	clock.Step(time.Hour)
	events <- event("BOOKMARK")
	eventually(t, "it is heard", func() bool {
		age, _ := f.contacts.age(f.contacts.byResource["apikeys"])
		return age == 0
	})
}

func TestAStalenessThatMakesNoSenseIsRefused(t *testing.T) {
	for _, longest := range []time.Duration{-1, time.Nanosecond, 2*time.Minute - 1} {
		_, err := New(Options{Config: &rest.Config{Host: "localhost"}, Namespace: "operator", Index: keyindex.New(), MaxStaleness: longest})
		if err == nil || !strings.Contains(err.Error(), "at least 2m") {
			t.Errorf("%s: the error is %v", longest, err)
		}
	}
}
