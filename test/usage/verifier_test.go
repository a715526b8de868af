package usage

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagejournal"
	"github.com/claviger-dev/claviger/internal/usagerecorder"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/verifier/adminapi"
)

// verifier is the half of a verifier that counts.
type verifier struct {
	recorder *usagerecorder.Recorder
	store    *sqlite.Store
	url      string
	certDir  string
	now      atomic.Pointer[time.Time] // what the feed takes for the present
}

func startVerifier(t *testing.T) *verifier {
	t.Helper()
	v := &verifier{certDir: certDir(t)}
	v.setNow(november)
	ctx, cancel := context.WithCancel(context.Background())
	store, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "usage.db"))
	if err != nil {
		t.Fatal(err)
	}
	v.store = store
	registry := prometheus.NewRegistry()
	journal, err := usagejournal.Open(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	if v.recorder, err = usagerecorder.New(usagerecorder.Options{
		Store: store, Journal: journal, Clock: clock.RealClock{}, Registerer: registry, Log: logr.Discard(),
	}); err != nil {
		t.Fatal(err)
	}
	protect, err := adminapi.ProtectWithKubernetes(identity(t, "claviger-verifier"), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.url = "https://" + listener.Addr().String()
	server := &adminapi.Server{
		CertDir: v.certDir, Protect: protect, Usage: store, Period: v.period, Metrics: registry,
		Now: func() time.Time { return *v.now.Load() }, Log: logr.Discard(),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := v.recorder.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	await(t, func() string {
		connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err.Error()
		}
		connection.Close() //nolint:errcheck // a test
		return ""
	})
	return v
}

// period is that of a workspace that decides nothing about it.
func (v *verifier) period(string) (start, end time.Time) {
	start = usagefeed.PeriodStart(*v.now.Load())
	return start, start.AddDate(0, 1, 0)
}

func (v *verifier) setNow(now time.Time) { v.now.Store(&now) }

// use records requests of a key, some of them denied, of which limit had remaining left.
func (v *verifier) use(key string, at time.Time, allowed, denied int, remaining int64) {
	id, err := keyid.Parse(key)
	if err != nil {
		panic(err)
	}
	event := usage.Event{
		Key: id, Attribution: usage.Attribution{Workspace: "default/shop"}, At: at, PeriodStart: usagefeed.PeriodStart(at),
		Remaining: remaining, BudgetRemaining: usage.NoLimit,
	}
	if remaining != usage.NoLimit {
		event.ResetAt = at.Add(time.Minute)
	}
	for range allowed {
		v.recorder.Record(event)
	}
	for range denied {
		event.Details = usage.Details{Status: usage.Denied, Error: "RATE_LIMITED"}
		v.recorder.Record(event)
	}
}

func (v *verifier) get(t *testing.T, path, token string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	request, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close() //nolint:errcheck // a test
	return response.StatusCode
}

func TestTheProtectedPortIsForWhomKubernetesAllows(t *testing.T) {
	v := startVerifier(t)
	if _, err := plane.RunKubectl(t.Context(), nil, "create", "serviceaccount", "prometheus", "-n", systemNamespace); err != nil {
		t.Fatal(err)
	}
	if _, err := plane.RunKubectl(t.Context(), nil, "create", "clusterrolebinding", "prometheus",
		"--clusterrole=claviger-metrics-reader", "--serviceaccount="+systemNamespace+":prometheus"); err != nil {
		t.Fatal(err)
	}
	operator := identity(t, "claviger-operator").BearerToken
	prometheus := identity(t, "prometheus").BearerToken
	tests := map[string]struct {
		path, token string
		status      int
	}{
		"the operator may read usage":        {"/usage", operator, 200},
		"and that of limits":                 {"/limits", operator, 200},
		"but no metrics":                     {"/metrics", operator, 403},
		"nor profiles":                       {"/debug/pprof/", operator, 403},
		"a metrics reader may read metrics":  {"/metrics", prometheus, 200},
		"but no usage":                       {"/usage", prometheus, 403},
		"nor that of limits":                 {"/limits", prometheus, 403},
		"nor on a detour":                    {"/metrics/../usage", prometheus, 403},
		"the verifier itself may not":        {"/usage", identity(t, "claviger-verifier").BearerToken, 403},
		"nobody may without a token":         {"/usage", "", 401},
		"nor with a token that is none":      {"/usage", "made-up", 401},
		"nor with one that somebody changed": {"/usage", operator[:len(operator)-4] + "AAAA", 401},
		"nor ask what else there is":         {"/other", "", 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := v.get(t, test.path, test.token); got != test.status {
				t.Errorf("%s was answered with %d, want %d", test.path, got, test.status)
			}
		})
	}
}
