package usage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// server is an API server that answers every request with the same.
type server struct {
	status     int
	retryAfter string
	asked      int
}

func (s *server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.asked++
	if s.retryAfter != "" {
		w.Header().Set("Retry-After", s.retryAfter)
	}
	if s.status == http.StatusTooManyRequests {
		// As priority and fairness does: not in JSON.
		http.Error(w, "Too many requests, please try again later.", s.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(s.status)
	json.NewEncoder(w).Encode(metav1.Status{ //nolint:errcheck // a test
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: int32(s.status), Reason: map[int]metav1.StatusReason{409: metav1.StatusReasonConflict}[s.status],
	})
}

// writerTo makes the client that usage is written with.
func writerTo(t *testing.T, s *server) client.Client {
	t.Helper()
	listener := httptest.NewServer(s)
	t.Cleanup(listener.Close)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.GroupVersion.WithKind("ApiKey"), meta.RESTScopeNamespace)
	writer, err := NewWriter(&rest.Config{Host: listener.URL, QPS: -1}, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return writer
}

// busyServer has ten statuses to write, through a real client, to an API server that answers as s does.
func busyServer(t *testing.T, s *server) (*WriteBack, *testclock.FakeClock) {
	t.Helper()
	clock := testclock.NewFakeClock(start)
	c := newCluster(t, nil, map[string]int{"good": 10})
	w := newWriteBack(c, clock, unlimited)
	w.statuses.writer = writerTo(t, s)
	for i := range 10 {
		w.schedule.observe(key("good-"+string(rune('0'+i)), 1), time.Time{}, start)
	}
	return w, clock
}

func TestAnAPIServerThatAsksToComeBackLaterIsLeftAloneForSoLong(t *testing.T) {
	for name, test := range map[string]struct {
		server
		quiet time.Duration
	}{
		"as long as it asks for":     {server{status: 429, retryAfter: "7"}, 7 * time.Second},
		"longer than between writes": {server{status: 429, retryAfter: "300"}, 5 * time.Minute},
		"but not for ever":           {server{status: 429, retryAfter: "86400"}, longestAsked},
		"starting":                   {server{status: 503, retryAfter: "3"}, 3 * time.Second},
		"without saying how long":    {server{status: 429}, firstRetry},
	} {
		t.Run(name, func(t *testing.T) {
			s := &test.server
			w, clock := busyServer(t, s)
			failures := w.pass(0)
			if s.asked != 1 || failures != 1 {
				t.Fatalf("of ten statuses it was asked to take %d, with %d failures, before it was left alone", s.asked, failures)
			}
			clock.Step(test.quiet - time.Millisecond)
			if w.pass(failures); s.asked != 1 {
				t.Errorf("it was asked again before %v had passed", test.quiet)
			}
			clock.Step(2 * time.Millisecond)
			if w.pass(failures); s.asked != 2 {
				t.Errorf("it was asked %d times after %v, want twice", s.asked, test.quiet)
			}
		})
	}
}

func TestAnAPIServerThatStaysBusyIsAskedLessAndLessOften(t *testing.T) {
	s := &server{status: http.StatusTooManyRequests, retryAfter: "1"}
	w, clock := busyServer(t, s)
	failures := 0
	for range 3600 {
		failures = w.pass(failures)
		clock.Step(time.Second)
	}
	// 1, 2, 4 up to 60 seconds: in an hour some 65 times.
	if s.asked < 60 || s.asked > 70 {
		t.Errorf("it was asked %d times in an hour", s.asked)
	}
}

func TestOneWhoIsThrottledSeesItInTheMetric(t *testing.T) {
	w, _ := busyServer(t, &server{status: http.StatusTooManyRequests, retryAfter: "1"})
	e, _ := w.schedule.next(start)
	result, _, err := w.write(t.Context(), e)
	if result != resultThrottled || !apierrors.IsTooManyRequests(err) {
		t.Errorf("a write to a busy server is %s: %v", result, err)
	}
}

func TestConflictsDoNotSpin(t *testing.T) {
	s := &server{status: http.StatusConflict}
	w, clock := busyServer(t, s)
	for range 600 {
		w.pass(0)
		clock.Step(time.Second)
	}
	// Each of the ten at 0, 1, 3, 7, 15, 31, 63, 123 seconds and then once a minute.
	if perKey := s.asked / 10; perKey < 14 || perKey > 17 {
		t.Errorf("in ten minutes each of ten statuses was tried %d times", perKey)
	}
}
