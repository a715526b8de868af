package verifier_test

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

var now = indextest.IssuedAt.Add(time.Hour)

// ledger is a Recorder that remembers.
type ledger struct {
	mu     sync.Mutex
	events []usage.Event
}

func (l *ledger) Report(e usage.Event) { l.Record(e) }

func (l *ledger) Record(e usage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

type fixture struct {
	*verifier.Verifier
	index  *keyindex.Index
	ledger *ledger
	now    time.Time
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{index: indextest.New(), ledger: &ledger{}, now: now}
	f.index.UseClock(func() time.Time { return f.now })
	var err error
	f.Verifier, err = verifier.New(verifier.Options{Index: f.index, Recorder: f.ledger, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) verify(t testing.TB, r verifier.Request) verifier.Decision {
	return f.Verify(t.Context(), r)
}

func keyID(name string) verifier.KeyID {
	id, _ := keyid.Parse(string(indextest.UID("key", name)))
	return id
}

type spec = v1alpha1.ApiKeySpec

func TestDecisions(t *testing.T) {
	from := netip.MustParseAddr("192.0.2.1")
	tests := map[string]struct {
		spec    func(*spec)
		change  func(*keyindex.Index)
		request verifier.Request
		code    verifier.Code
		status  int
		text    string
		known   bool // whose key it is may be told
	}{
		"a good key":                        {code: verifier.CodeValid, status: 200, known: true},
		"a good key of the asked workspace": {request: verifier.Request{Workspace: "tenant/shop"}, code: verifier.CodeValid, status: 200, known: true},
		"a key of another workspace":        {request: verifier.Request{Workspace: "tenant/other"}, code: verifier.CodeWorkspaceMismatch, status: 401, text: "Invalid API key"},
		"a disabled key":                    {spec: func(s *spec) { s.State = v1alpha1.KeyDisabled }, code: verifier.CodeKeyDisabled, status: 403, text: "API key is disabled", known: true},
		"a revoked key":                     {spec: func(s *spec) { s.State = v1alpha1.KeyRevoked }, code: verifier.CodeKeyRevoked, status: 401, text: "API key has been revoked", known: true},
		"an expired key":                    {spec: func(s *spec) { s.TTL = &metav1.Duration{Duration: time.Minute} }, code: verifier.CodeKeyExpired, status: 401, text: "API key has expired", known: true},
		"a suspended workspace": {
			change: func(x *keyindex.Index) {
				indextest.SetWorkspace(x, "shop", func(s *v1alpha1.WorkspaceSpec) { s.Suspended = true })
			},
			code: verifier.CodeWorkspaceSuspended, status: 403, text: "Workspace is suspended", known: true,
		},
		"a missing workspace":       {spec: func(s *spec) { s.WorkspaceRef.Name = "gone" }, code: verifier.CodeKeyInvalid, status: 401, text: "Invalid API key"},
		"a missing service account": {spec: func(s *spec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "gone"} }, code: verifier.CodeKeyInvalid, status: 401, text: "Invalid API key"},
		"all of its scopes":         {request: verifier.Request{Scopes: verifier.Scopes{AllOf: []string{"read", "write"}}}, code: verifier.CodeValid, status: 200, known: true},
		"one scope too many":        {request: verifier.Request{Scopes: verifier.Scopes{AllOf: []string{"read", "admin"}}}, code: verifier.CodeScopeInsufficient, status: 403, text: "API key does not have the required scope", known: true},
		"any of scopes":             {request: verifier.Request{Scopes: verifier.Scopes{AnyOf: []string{"admin", "read"}}}, code: verifier.CodeValid, status: 200, known: true},
		"none of any of scopes":     {request: verifier.Request{Scopes: verifier.Scopes{AnyOf: []string{"admin"}}}, code: verifier.CodeScopeInsufficient, status: 403, text: "API key does not have the required scope", known: true},
		"from an allowed network":   {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"192.0.2.0/24"} }, request: verifier.Request{ClientIP: from}, code: verifier.CodeValid, status: 200, known: true},
		"from another network":      {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"10.0.0.0/8"} }, request: verifier.Request{ClientIP: from}, code: verifier.CodeAddressDenied, status: 403, text: "API key may not be used from this address", known: true},
		"from nobody knows where":   {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"10.0.0.0/8"} }, code: verifier.CodeAddressDenied, status: 403, text: "API key may not be used from this address", known: true},
		"from a link-local address": {spec: func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"fe80::/10"} }, request: verifier.Request{ClientIP: netip.MustParseAddr("fe80::1%eth0")}, code: verifier.CodeValid, status: 200, known: true},
		"a malformed scope":         {request: verifier.Request{Scopes: verifier.Scopes{AllOf: []string{"read", "no scope"}}}, code: verifier.CodeRequestInvalid, status: 400, text: "Bad request: scope 2 of those required (allOf) is malformed: between the dots come words of letters, digits, _ and -, or * or **"},
		"an empty scope":            {request: verifier.Request{Scopes: verifier.Scopes{AnyOf: []string{""}}}, code: verifier.CodeRequestInvalid, status: 400, text: "Bad request: scope 1 of those required (anyOf) is malformed: a scope must not be empty"},
		"scopes without end":        {request: verifier.Request{Scopes: verifier.Scopes{AllOf: slices.Repeat([]string{"read"}, 101)}}, code: verifier.CodeRequestInvalid, status: 400, text: "Bad request: allOf names more than 100 scopes"},
		"an ApiKey that was deleted": {change: func(x *keyindex.Index) {
			x.DeleteApiKey(indextest.UID("key", "k"))
		}, code: verifier.CodeKeyInvalid, status: 401, text: "Invalid API key"},
		"scopes that the ceiling cut": {spec: func(s *spec) { s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"} }, request: verifier.Request{Scopes: verifier.Scopes{AllOf: []string{"write"}}}, code: verifier.CodeScopeInsufficient, status: 403, text: "API key does not have the required scope", known: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			indextest.SetAccount(f.index, "robot", func(s *v1alpha1.ServiceAccountSpec) { s.Scopes = []v1alpha1.Scope{"read"} })
			test.request.Key = indextest.Issue(t, f.index, "k", func(s *spec) {
				s.Scopes = []v1alpha1.Scope{"read", "write"}
				if test.spec != nil {
					test.spec(s)
				}
			})
			if test.change != nil {
				test.change(f.index)
			}
			d := f.verify(t, test.request)
			if d.Code != test.code || d.Status != test.status || d.Error != test.text {
				t.Errorf("got %s %d %q, want %s %d %q", d.Code, d.Status, d.Error, test.code, test.status, test.text)
			}
			if d.Valid() != (test.code == verifier.CodeValid) {
				t.Errorf("Valid is %t", d.Valid())
			}
			if told := !d.Key.ID.IsZero(); told != test.known {
				t.Errorf("whose key it is, is told: %t, want %t", told, test.known)
			}
		})
	}
}

func TestKeysThatAreUnknown(t *testing.T) {
	f := newFixture(t)
	good := indextest.Issue(t, f.index, "k")
	stranger, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		key  string
		code verifier.Code
	}{
		"no key":                     {"", verifier.CodeKeyRequired},
		"noise":                      {"hello", verifier.CodeKeyInvalid},
		"one character changed":      {good[:10] + swap(good[10]) + good[11:], verifier.CodeKeyInvalid},
		"a key nobody issued":        {stranger.Reveal(), verifier.CodeKeyInvalid},
		"a key with a space after":   {good + " ", verifier.CodeKeyInvalid},
		"a key as long as a novel":   {strings.Repeat(good, 10_000), verifier.CodeKeyInvalid},
		"a key with a line break in": {good[:20] + "\n" + good[20:], verifier.CodeKeyInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := f.verify(t, verifier.Request{Key: test.key})
			if d.Code != test.code || d.Status != 401 || !d.Key.ID.IsZero() || d.Limits.Len() != 0 {
				t.Errorf("got %+v, want %s", d, test.code)
			}
		})
	}
	if len(f.ledger.events) > 0 {
		t.Errorf("unknown keys were recorded: %+v", f.ledger.events)
	}
}

func swap(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

func TestTheIdentityOfAKey(t *testing.T) {
	f := newFixture(t)
	end := metav1.NewTime(now.Add(time.Hour))
	indextest.SetAccount(f.index, "robot")
	key := indextest.Issue(t, f.index, "k", func(s *spec) {
		s.DisplayName = "The key"
		s.Scopes = []v1alpha1.Scope{"write", "read"}
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.Metadata = map[string]v1alpha1.MetadataValue{"team": "blue"}
		s.ExpiresAt = &end
	})
	got := f.verify(t, verifier.Request{Key: key}).Key
	want := verifier.Key{
		ID: keyID("k"), Name: "k", Namespace: "tenant", Workspace: "tenant/shop", Environment: "live", DisplayName: "The key",
		ServiceAccount: "robot", Scopes: []string{"read", "write"}, Metadata: map[string]string{"team": "blue"}, ExpiresAt: end.Time,
	}
	if !slices.Equal(got.Scopes, want.Scopes) || got.Metadata["team"] != "blue" || len(got.Metadata) != 1 || !got.ExpiresAt.Equal(want.ExpiresAt) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got.Scopes, got.Metadata, got.ExpiresAt = nil, nil, time.Time{}
	want.Scopes, want.Metadata, want.ExpiresAt = nil, nil, time.Time{}
	if got.ID != want.ID || got.Name != want.Name || got.Namespace != want.Namespace || got.Workspace != want.Workspace ||
		got.Environment != want.Environment || got.DisplayName != want.DisplayName || got.ServiceAccount != want.ServiceAccount {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTheRequestOverTheLimitIsRefused(t *testing.T) {
	f := newFixture(t)
	indextest.SetLimit(f.index, "standard", 100, time.Minute, 0)
	key := indextest.Issue(t, f.index, "k", func(s *spec) { s.LimitRefs = indextest.Refs("standard") })
	for i := range int64(100) {
		d := f.verify(t, verifier.Request{Key: key})
		if !d.Valid() || d.Limits.Len() != 1 || d.Limits.At(0).Remaining != 99-i {
			t.Fatalf("request %d: %+v", i+1, d)
		}
	}
	f.now = f.now.Add(20 * time.Second)
	d := f.verify(t, verifier.Request{Key: key})
	if d.Code != verifier.CodeRateLimited || d.Status != 429 || d.Error != "Rate limit exceeded. Please try again later." || d.RetryAfter != 40*time.Second {
		t.Errorf("request 101: %+v", d)
	}
	if want := (verifier.Limit{Name: "standard", Max: 100, Per: time.Minute, Capacity: 100, ResetAt: now.Add(time.Minute)}); d.Limits.Len() != 1 || *d.Limits.At(0) != want {
		t.Errorf("request 101: limits %+v, want %+v", d.Limits, want)
	}
	f.now = f.now.Add(d.RetryAfter)
	if d := f.verify(t, verifier.Request{Key: key}); !d.Valid() {
		t.Errorf("a minute later: %+v", d)
	}
}

func TestARefusedRequestCountsAgainstNoLimit(t *testing.T) {
	f := newFixture(t)
	indextest.SetLimit(f.index, "wide", 10, time.Hour, 0)
	indextest.SetLimit(f.index, "narrow", 1, time.Minute, 0)
	indextest.SetLimit(f.index, "narrower", 1, 2*time.Minute, 0)
	key := indextest.Issue(t, f.index, "k", func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"read"}
		s.LimitRefs = indextest.Refs("wide", "narrow", "narrower")
	})
	remaining := func(d verifier.Decision) (left []int64) {
		for i := range d.Limits.Len() {
			l := d.Limits.At(i)
			left = append(left, l.Remaining)
		}
		return left
	}
	if d := f.verify(t, verifier.Request{Key: key, Scopes: verifier.Scopes{AllOf: []string{"write"}}}); d.Code != verifier.CodeScopeInsufficient || d.Limits.Len() != 0 {
		t.Fatalf("got %+v", d)
	}
	if d := f.verify(t, verifier.Request{Key: key}); !slices.Equal(remaining(d), []int64{9, 0, 0}) {
		t.Fatalf("got %+v", d)
	}
	for range 5 {
		d := f.verify(t, verifier.Request{Key: key})
		if d.Code != verifier.CodeRateLimited || !slices.Equal(remaining(d), []int64{9, 0, 0}) {
			t.Fatalf("got %+v", d)
		}
		if d.RetryAfter != 2*time.Minute {
			t.Errorf("retry after %s, want the wait for the slowest limit", d.RetryAfter)
		}
	}
}

func TestDecisionsAboutKnownKeysAreRecorded(t *testing.T) {
	f := newFixture(t)
	indextest.SetLimit(f.index, "hourly", 10, time.Hour, 0)
	indextest.SetLimit(f.index, "minutely", 2, time.Minute, 0)
	limited := indextest.Issue(t, f.index, "limited", func(s *spec) { s.LimitRefs = indextest.Refs("hourly", "minutely") })
	indextest.SetLimit(f.index, "daily", 2, 24*time.Hour, 0)
	tied := indextest.Issue(t, f.index, "tied", func(s *spec) { s.LimitRefs = indextest.Refs("minutely", "daily") })
	free := indextest.Issue(t, f.index, "free")

	f.verify(t, verifier.Request{Key: limited})
	f.verify(t, verifier.Request{Key: limited, Scopes: verifier.Scopes{AllOf: []string{"admin"}}})
	f.verify(t, verifier.Request{Key: limited, Workspace: "tenant/other"})
	f.verify(t, verifier.Request{Key: tied})
	f.verify(t, verifier.Request{Key: free})
	f.verify(t, verifier.Request{})
	f.verify(t, verifier.Request{Key: free, Scopes: verifier.Scopes{AllOf: []string{"!"}}})

	minute := now.Add(time.Minute)
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	recorded := func(key string, remaining int64, resetAt time.Time, denied string) usage.Event {
		e := usage.Event{
			Key: keyID(key), Generation: 1, At: now, PeriodStart: month,
			Attribution: usage.Attribution{Workspace: "tenant/shop", Environment: "live"},
			Remaining:   remaining, ResetAt: resetAt, BudgetRemaining: usage.NoLimit,
		}
		if denied != "" {
			e.Details = usage.Details{Status: usage.Denied, Error: denied}
		}
		return e
	}
	want := []usage.Event{
		recorded("limited", 1, minute, ""),
		recorded("limited", 1, minute, "SCOPE_INSUFFICIENT"),
		recorded("limited", 1, minute, "WORKSPACE_MISMATCH"),
		recorded("tied", 1, now.Add(24*time.Hour), ""),
		recorded("free", usage.NoLimit, time.Time{}, ""),
	}
	if !slices.Equal(f.ledger.events, want) {
		t.Errorf("got  %+v\nwant %+v", f.ledger.events, want)
	}
}

func TestManyAtOnceAreAdmittedUpToTheLimit(t *testing.T) {
	f := newFixture(t)
	indextest.SetLimit(f.index, "wide", 1000, time.Minute, 1000)
	indextest.SetLimit(f.index, "narrow", 100, time.Minute, 0)
	key := indextest.Issue(t, f.index, "k", func(s *spec) { s.LimitRefs = indextest.Refs("wide", "narrow") })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				f.Verify(t.Context(), verifier.Request{Key: key})
			}
		})
	}
	all.Wait()
	admitted := 0
	for _, e := range f.ledger.events {
		if e.Status == usage.Allowed {
			admitted++
		}
	}
	if admitted != 100 || len(f.ledger.events) != 400 {
		t.Errorf("%d of %d were admitted, want 100 of 400", admitted, len(f.ledger.events))
	}
	if d := f.verify(t, verifier.Request{Key: key}); d.Limits.At(0).Remaining != 900 {
		t.Errorf("the wider limit has %d left, want 900", d.Limits.At(0).Remaining)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	index := indextest.New()
	v, err := verifier.New(verifier.Options{Index: index, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	key := indextest.Issue(t, index, "k")
	v.Verify(t.Context(), verifier.Request{Key: key})
	v.Verify(t.Context(), verifier.Request{Key: "nonsense"})
	v.Verify(t.Context(), verifier.Request{Key: "nonsense"})

	got := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			label := ""
			for _, pair := range metric.GetLabel() {
				label = pair.GetValue()
			}
			got[family.GetName()+" "+label] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"claviger_decisions_total VALID":        1,
		"claviger_decisions_total KEY_INVALID":  2,
		"claviger_decisions_total KEY_EXPIRED":  0,
		"claviger_index_objects ApiKey":         1,
		"claviger_index_objects Credential":     1,
		"claviger_index_objects Workspace":      1,
		"claviger_index_objects ServiceAccount": 0,
		"claviger_index_objects KeyLimit":       0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (there: %t), want %v", name, value, ok, want)
		}
	}
}

func TestNewWantsAnIndexAndItsMetricsOnce(t *testing.T) {
	if _, err := verifier.New(verifier.Options{}); err == nil {
		t.Error("a verifier without an index was made")
	}
	registry := prometheus.NewRegistry()
	for i, wantErr := range []bool{false, true} {
		if _, err := verifier.New(verifier.Options{Index: keyindex.New(), Registerer: registry}); (err != nil) != wantErr {
			t.Errorf("registered %d times: %v", i+1, err)
		}
	}
}

func TestASourceOfInvalidKeysIsToldToWait(t *testing.T) {
	f := newFixture(t)
	good := indextest.Issue(t, f.index, "k")
	stranger, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	from, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	bad := map[string]verifier.Request{
		"unknown":              {Key: stranger.Reveal(), ClientIP: from},
		"noise":                {Key: "noise", ClientIP: from},
		"of another workspace": {Key: good, Workspace: "tenant/other", ClientIP: from},
	}
	for range verifier.DefaultInvalidKeysPerMinute {
		if d := f.verify(t, bad["unknown"]); d.Code != verifier.CodeKeyInvalid {
			t.Fatalf("before it is too much: %s", d.Code)
		}
	}
	for name, request := range bad {
		d := f.verify(t, request)
		if d.Code != verifier.CodeRateLimited || d.Status != 429 || d.RetryAfter <= 0 || !d.Key.ID.IsZero() || d.At.IsZero() {
			t.Errorf("%s: %+v", name, d)
		}
		request.ClientIP = elsewhere
		if d := f.verify(t, request); d.Code.Public() != verifier.CodeKeyInvalid {
			t.Errorf("%s, from elsewhere: %s", name, d.Code)
		}
		request.ClientIP = netip.Addr{}
		if d := f.verify(t, request); d.Code.Public() != verifier.CodeKeyInvalid {
			t.Errorf("%s, from nobody knows where: %s", name, d.Code)
		}
	}
	if d := f.verify(t, verifier.Request{Key: good, ClientIP: from}); !d.Valid() {
		t.Errorf("a valid key from there is %s", d.Code)
	}
	if d := f.verify(t, verifier.Request{ClientIP: from}); d.Code != verifier.CodeKeyRequired {
		t.Errorf("no key from there is %s", d.Code)
	}
}

// A decision needs no memory of its own, or garbage collection would be the price of traffic.
func TestADecisionTakesNoMemory(t *testing.T) {
	f := newFixture(t)
	indextest.SetLimit(f.index, "wide", 10_000_000, time.Second, 0)
	key := indextest.Issue(t, f.index, "k", func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"read", "orders.**"}
		s.LimitRefs = indextest.Refs("wide")
		s.AllowedCIDRs = []v1alpha1.CIDR{"192.0.2.0/24", "2001:db8::/32"}
		s.Grants = []v1alpha1.Grant{{Resource: "shelf/*", Scopes: []v1alpha1.Scope{"read"}}}
	})
	v, err := verifier.New(verifier.Options{Index: f.index})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	request := verifier.Request{
		Key: key, Workspace: "tenant/shop", Resource: "shelf/7", ClientIP: netip.MustParseAddr("192.0.2.1"),
		Scopes: verifier.Scopes{AllOf: []string{"read"}, AnyOf: []string{"write", "read"}},
	}
	invalid := verifier.Request{Key: stranger.Reveal(), ClientIP: netip.MustParseAddr("192.0.2.1")}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if d := v.Verify(ctx, request); !d.Valid() {
			t.Fatal(d.Code)
		}
		v.Verify(ctx, invalid)
	}); n > 0 {
		t.Errorf("it takes %v allocations", n)
	}
}
