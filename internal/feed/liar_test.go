package feed

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
)

// liar is an API server that may say that there is nothing.
type liar struct {
	streams    bool // it can stream a list
	mu         sync.Mutex
	workspaces []v1alpha1.Workspace
	denies     int // so many more lists of Workspaces are empty
	asked      []string
	edition    int           // the resource version of what there is
	breaks     chan struct{} // ends the watches
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	l.mu.Lock()
	breaks, edition := l.breaks, l.version()
	l.mu.Unlock()
	switch {
	case query.Get("sendInitialEvents") != "" && !l.streams:
		l.answer(w, http.StatusUnprocessableEntity, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
		})
	case query.Get("watch") != "":
		w.Header().Set("Content-Type", "application/json")
		if query.Get("sendInitialEvents") != "" {
			l.stream(w, path.Base(r.URL.Path), edition)
		} else if query.Get("resourceVersion") != edition {
			// What changed between the list and this watch must not be missed.
			breaks = make(chan struct{})
			close(breaks)
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-breaks:
			// The reflector begins anew.
			json.NewEncoder(w).Encode(map[string]any{"type": "ERROR", "object": metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonExpired, Code: http.StatusGone,
			}})
		}
	default:
		l.list(w, r, path.Base(r.URL.Path))
	}
}

// stream sends a list as events, and the bookmark that ends it.
func (l *liar) stream(w http.ResponseWriter, resource, edition string) {
	kind, version := kindOf(resource)
	send := func(event string, object map[string]any) {
		object["kind"], object["apiVersion"] = kind, version
		json.NewEncoder(w).Encode(map[string]any{"type": event, "object": object})
	}
	for _, workspace := range l.items(resource, "stream") {
		send("ADDED", map[string]any{"metadata": workspace.ObjectMeta})
	}
	send("BOOKMARK", map[string]any{"metadata": metav1.ObjectMeta{
		ResourceVersion: edition, Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
	}})
}

func (l *liar) list(w http.ResponseWriter, r *http.Request, resource string) {
	kind, version := kindOf(resource)
	l.mu.Lock()
	edition := l.version()
	l.mu.Unlock()
	l.answer(w, http.StatusOK, map[string]any{
		"kind": kind + "List", "apiVersion": version, "metadata": map[string]any{"resourceVersion": edition},
		"items": l.items(resource, r.URL.Query().Get("resourceVersion")+"/"+r.URL.Query().Get("limit")),
	})
}

func (l *liar) version() string { return strconv.Itoa(5 + l.edition) }

// items is what it says that there is.
func (l *liar) items(resource, asked string) []v1alpha1.Workspace {
	l.mu.Lock()
	defer l.mu.Unlock()
	if resource != "workspaces" {
		return nil
	}
	l.asked = append(l.asked, asked)
	if l.denies > 0 {
		l.denies--
		return nil
	}
	return l.workspaces
}

func kindOf(resource string) (kind, version string) {
	if resource == "secrets" {
		return "Secret", "v1"
	}
	return map[string]string{
		"workspaces": "Workspace", "serviceaccounts": "ServiceAccount", "keylimits": "KeyLimit", "apikeys": "ApiKey",
	}[resource], v1alpha1.GroupVersion.String()
}

func (*liar) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// relist makes the reflectors list again, after a change of what there is.
func (l *liar) relist(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.edition++
	close(l.breaks)
	l.breaks = make(chan struct{})
}

func TestAnAPIServerThatLiesIsNotBelieved(t *testing.T) {
	t.Run("by a stream", func(t *testing.T) { testLiar(t, true) })
	t.Run("by a list", func(t *testing.T) { testLiar(t, false) })
}

func testLiar(t *testing.T, streams bool) {
	l := &liar{
		streams: streams, breaks: make(chan struct{}),
		workspaces: []v1alpha1.Workspace{{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "w"}}},
	}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	clock := clocktesting.NewFakeClock(time.Now())
	registry := prometheus.NewRegistry()
	x := keyindex.New()
	f, err := New(Options{
		Config: &rest.Config{Host: server.URL}, Namespace: "operator", Index: x, Log: testr.New(t), Registerer: registry, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, f)
	eventually(t, "it is ready", func() bool { return f.Ready() == nil })
	if got := x.Counts().Workspaces; got != 1 {
		t.Fatalf("it has %d Workspaces", got)
	}
	// Lets the wait for the second list pass, whenever it begins.
	outcome := func(name string, times int) func() bool {
		return func() bool {
			if clock.HasWaiters() {
				clock.Step(confirmAfter)
			}
			return gather(t, registry)["claviger_feed_empty_lists_total "+name+" workspaces"] >= float64(times)
		}
	}

	l.relist(func() { l.denies, l.asked = 1, nil })
	eventually(t, "it asked again", outcome("refuted", 1))
	if got := x.Counts().Workspaces; got != 1 {
		t.Errorf("after a lie it has %d Workspaces", got)
	}
	l.mu.Lock()
	if got := l.asked; len(got) < 2 || got[1] != "/1" {
		t.Errorf("it asked for %q (version/limit), and the second is no consistent read", got)
	}
	l.mu.Unlock()

	l.relist(func() { l.workspaces = nil })
	eventually(t, "it asked again", outcome("confirmed", 1))
	eventually(t, "it is believed", func() bool { return x.Counts().Workspaces == 0 })

	// And from nothing to something there is nothing to confirm.
	l.relist(func() {
		l.workspaces = []v1alpha1.Workspace{{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "w2"}}}
	})
	eventually(t, "it is there", func() bool { return x.Counts().Workspaces == 1 })
}
