package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

// ledger remembers what limits had against requests.
type ledger struct{ refusals []*usage.Refusal }

func (l *ledger) Report(usage.Event) {}

func (l *ledger) Record(e usage.Event) { l.refusals = append(l.refusals, e.Refusal) }

// handled is a service behind the middleware whose handler is the test's to say.
type handled struct {
	*fixture
	ledger  ledger
	handler http.HandlerFunc
	failed  []verifier.Report
	errs    []error
}

func handle(t *testing.T, limits ...named) *handled {
	t.Helper()
	h := &handled{fixture: newFixture(t), handler: func(http.ResponseWriter, *http.Request) {}}
	h.setLimits(limits...)
	v, err := verifier.New(verifier.Options{Index: h.index, Recorder: &h.ledger, Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	h.Handler = Middleware(v, MiddlewareOptions{ReportFailed: func(r verifier.Report, err error) {
		h.failed, h.errs = append(h.failed, r), append(h.errs, err)
	}})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.handler(w, r) }))
	return h
}

// ask has always the same ID.
func (h *handled) ask() int {
	return h.do("GET", "/", "", "X-API-Key: "+h.key, "X-Request-Id: same").Code
}

func TestARequestIsUnderWayUntilItsHandlerReturns(t *testing.T) {
	h := handle(t, named{"one", indextest.Concurrency(1)})
	var within []int
	h.handler = func(http.ResponseWriter, *http.Request) {
		h.handler = func(http.ResponseWriter, *http.Request) {}
		within = append(within, h.ask())
	}
	for i := range 5 {
		if got := h.ask(); got != 200 {
			t.Errorf("request %d was answered %d", i+1, got)
		}
	}
	if len(within) != 1 || within[0] != 429 {
		t.Errorf("one at the same time was answered %d", within)
	}
}

// A client that sends the same ID with all requests pays for each of them, and leaves no slot held.
func TestRequestsOfOneIDAreReportedEachForItself(t *testing.T) {
	h := handle(t, named{"two", indextest.Concurrency(2)}, named{"budget", indextest.Budget(1000, v1alpha1.ResetDaily)})
	depth := 0
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		Spend(r.Context(), 100)
		if depth++; depth == 1 {
			if got := h.ask(); got != 200 {
				t.Errorf("a second at the same time was answered %d", got)
			}
		}
		depth--
	}
	for range 3 {
		h.ask()
	}
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		limits := &DecisionFrom(r.Context()).Limits
		if free, left := limits.At(0).Remaining, limits.At(1).Remaining; free != 1 || left != 400 {
			t.Errorf("besides this request %d are free, want 1, and %d microcents left, want 400", free, left)
		}
	}
	h.ask()
}

func TestAPanicEndsARequestToo(t *testing.T) {
	h := handle(t, named{"one", indextest.Concurrency(1)}, named{"budget", indextest.Budget(1000, v1alpha1.ResetDaily)})
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		Spend(r.Context(), 1000)
		panic(http.ErrAbortHandler)
	}
	func() {
		defer func() {
			if reason := recover(); reason != http.ErrAbortHandler { //nolint:errorlint // it is no wrapped one
				t.Errorf("the server sees the panic %v", reason)
			}
		}()
		h.ask()
	}()
	w := h.do("GET", "/", "", "X-API-Key: "+h.key)
	if p := problemOf(t, w); p.Code != "BUDGET_EXHAUSTED" || !strings.Contains(w.Header().Get("RateLimit"), `"concurrency";r=1;`) {
		t.Errorf("got %s, %s", p.Code, w.Header().Get("RateLimit"))
	}
}

func TestWhatAHandlerSpendsIsCountedWhenItReturns(t *testing.T) {
	h := handle(t, named{"budget", indextest.Budget(1000, v1alpha1.ResetDaily)})
	var over context.Context
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		over = r.Context()
		for microcents, counts := range map[int64]bool{300: true, 0: true, 400: true, -500: false, math.MinInt64: false} {
			if got := Spend(r.Context(), microcents); got != counts {
				t.Errorf("%d microcents are counted: %t", microcents, got)
			}
		}
	}
	// Its client goes away meanwhile, which makes it no cheaper.
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	r.Header.Set("X-API-Key", h.key)
	leave()
	h.ServeHTTP(httptest.NewRecorder(), r)
	if Spend(over, 100) || Spend(t.Context(), 100) {
		t.Error("after the request, or without one, something is counted")
	}
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		if left := DecisionFrom(r.Context()).Limits.At(0).Remaining; left != 300 {
			t.Errorf("%d are left, want 300", left)
		}
		for range 2 { // more than can be counted is as much as can be
			if !Spend(r.Context(), math.MaxInt64) {
				t.Error("too much is not counted")
			}
		}
	}
	h.ask()
	if got := h.ask(); got != 429 || len(h.failed) > 0 {
		t.Errorf("after all was spent: %d, %v", got, h.errs)
	}
}

func TestARequestThatALimitCountsInShadowIsReportedToo(t *testing.T) {
	h := handle(t, named{"one", indextest.Shadow(indextest.Concurrency(1))})
	for range 5 {
		h.ask()
	}
	for _, refusal := range h.ledger.refusals {
		if refusal != nil {
			t.Errorf("requests one after the other would have been refused: %+v", refusal)
		}
	}
}

func TestAReportThatCannotBeCountedIsTold(t *testing.T) {
	h := handle(t, named{"one", indextest.Concurrency(1)})
	h.handler = func(_ http.ResponseWriter, r *http.Request) {
		Spend(r.Context(), 7)
		h.index.DeleteApiKey(indextest.UID("key", "k"))
	}
	h.ask()
	if len(h.failed) != 1 || h.failed[0].SpendMicrocents != 7 || h.failed[0].KeyID.String() != idOfK || !errors.Is(h.errs[0], verifier.ErrUnknownKey) {
		t.Errorf("told is %+v, %v", h.failed, h.errs)
	}
}

// Else each request of a key that no such limit holds for would pay for an ID that nobody needs.
func TestAnIDThatNothingWasCountedUnderIsUsedAgain(t *testing.T) {
	x := newExchange(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	id := x.freshID()
	if id == x.requestID || id != x.freshID() {
		t.Errorf("the IDs are %s and then %s, and the request's %s", id, x.freshID(), x.requestID)
	}
	if x.release(); x.ownID != id {
		t.Errorf("%s became %q", id, x.ownID)
	}
}
