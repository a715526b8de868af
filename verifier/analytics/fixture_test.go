package analytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apiserver/pkg/authentication/user"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier"
)

// now is a Sunday: 2026-03-15, at noon in UTC.
var now = time.Date(2026, time.March, 15, 12, 0, 0, 0, time.UTC)

const (
	shop  = "tenant/shop"
	other = "tenant/other"
)

// fixture is two workspaces with a key each that is used, "k" of shop and "o" of other; and of shop a key that may
// read usage, "reader", and one that was revoked.
type fixture struct {
	http.Handler
	index                          *keyindex.Index
	store                          *narrow
	key, reader, revoked, otherKey string
	otherReader                    string
	number                         int64
	kubernetes                     *people
}

// narrow is a store whose answers have no more rows than most, where it is not 0.
type narrow struct {
	*sqlite.Store
	most int
}

func (n *narrow) Sum(ctx context.Context, q *usagestore.Query) ([]usagestore.Row, error) {
	asked := *q
	asked.Most = n.most
	return n.Store.Sum(ctx, &asked)
}

// people are identities of Kubernetes: by their tokens, what they may get.
type people struct {
	may  map[string][]string
	away bool
}

func (p *people) Authenticate(r *http.Request) (user.Info, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, ok := p.may[token]; !ok {
		return nil, errors.New("unknown token")
	}
	return &user.DefaultInfo{Name: token}, nil
}

func (p *people) MayGet(_ context.Context, who user.Info, resource, namespace, name string) (bool, error) {
	if p.away {
		return false, errors.New("the API server is away")
	}
	for _, may := range p.may[who.GetName()] {
		if may == resource+" "+namespace+"/"+name {
			return true, nil
		}
	}
	return false, nil
}

func newFixture(t testing.TB, edits ...func(*v1alpha1.WorkspaceSpec)) *fixture {
	t.Helper()
	f := &fixture{index: indextest.New(), kubernetes: &people{may: map[string][]string{
		"h.nobody.s": nil, "h.ofKey.s": {"apikeys tenant/k"}, "h.ofShop.s": {"workspaces tenant/shop"}, "h.ofOther.s": {"workspaces tenant/other", "apikeys tenant/o"},
		"h.elsewhere.s": {"workspaces elsewhere/shop", "apikeys elsewhere/k"},
	}}}
	indextest.SetWorkspace(f.index, "shop", append([]func(*v1alpha1.WorkspaceSpec){func(s *v1alpha1.WorkspaceSpec) {
		s.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: metav1.Duration{Duration: 90 * day}}}
	}}, edits...)...)
	indextest.SetWorkspace(f.index, "other")
	in := func(workspace string, scopes ...v1alpha1.Scope) func(*v1alpha1.ApiKeySpec) {
		return func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef.Name, s.Scopes = workspace, scopes }
	}
	f.key = indextest.Issue(t, f.index, "k", in("shop", "read"))
	f.reader = indextest.Issue(t, f.index, "reader", in("shop", ReadingScope))
	f.revoked = indextest.Issue(t, f.index, "revoked", in("shop", ReadingScope), func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked })
	f.otherKey = indextest.Issue(t, f.index, "o", in("other", "read"))
	f.otherReader = indextest.Issue(t, f.index, "otherReader", in("other", ReadingScope))
	store, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() }) //nolint:errcheck // a test
	f.store = &narrow{Store: store}
	v, err := verifier.New(verifier.Options{Index: f.index, Now: func() time.Time { return now }, InvalidKeysPerMinute: -1})
	if err != nil {
		t.Fatal(err)
	}
	f.Handler, err = New(Options{
		Verifier: v, Ready: v.Ready, Usage: f.store, Kubernetes: f.kubernetes, Now: func() time.Time { return now }, Log: logr.Discard(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// id is the ID of a key that indextest has issued.
func id(name string) string { return string(indextest.UID("key", name)) }

// add stores events of keys of a workspace.
func (f *fixture) add(t testing.TB, events ...usage.Event) {
	t.Helper()
	f.number++
	b := usage.NewBatch("test", f.number)
	for i := range events {
		if events[i].Status.Outcome() {
			b.Reports = append(b.Reports, events[i])
			continue
		}
		b.Add(&events[i], nil)
	}
	if err := f.store.Add(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func event(t testing.TB, key, workspace string, at time.Time, status usage.Status, edits ...func(*usage.Event)) usage.Event {
	t.Helper()
	parsed, err := keyid.Parse(id(key))
	if err != nil {
		t.Fatal(err)
	}
	e := usage.Event{
		Key: parsed, Attribution: usage.Attribution{Workspace: workspace, Environment: "live"}, At: at, Details: usage.Details{Status: status},
		RequestID: fmt.Sprint(key, at.UnixNano()), KeepLine: 90 * day, Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	for _, edit := range edits {
		edit(&e)
	}
	return e
}

func spends(microcents int64, details usage.Details) func(*usage.Event) {
	return func(e *usage.Event) {
		details.Status = e.Status
		e.SpendMicrocents, e.Details = microcents, details
	}
}

// get asks. Headers are pairs.
func (f *fixture) get(target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// read asks and reads what must be an answer.
func read[T any](t testing.TB, f *fixture, target string, headers ...string) (answer T) {
	t.Helper()
	w := f.get(target, headers...)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("GET %s: %v in %s", target, err, w.Body)
	}
	return answer
}
