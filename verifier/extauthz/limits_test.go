package extauthz

import (
	"strconv"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

// nobodyThere is a server of shared limits that is away, and requests are refused then.
var nobodyThere = &verifier.SharedLimits{URL: "redis://127.0.0.1:1", Outage: "closed"}

// newLimitedFixture has a key that the limit "one" holds for.
func newLimitedFixture(t *testing.T, limit v1alpha1.KeyLimitSpec, shared *verifier.SharedLimits, change serverOption) *fixture {
	t.Helper()
	f := unserved(t, change, limited("one"))
	indextest.SetKeyLimit(f.index, "one", limit)
	var err error
	if f.verifier, err = verifier.New(verifier.Options{Index: f.index, SharedLimits: shared, Now: func() time.Time { return now }}); err != nil {
		t.Fatal(err)
	}
	f.conn = f.dial(t, f.listen(t))
	f.client = authv3.NewAuthorizationClient(f.conn)
	return f
}

func TestEachKindOfLimitIsToldAndRefusesInItsWay(t *testing.T) {
	const midnight, april = "39600", "2631600"
	strict := indextest.Quota(1, v1alpha1.ResetDaily)
	strict.Consistency = v1alpha1.ConsistencyStrict
	for code, test := range map[string]struct {
		limit         v1alpha1.KeyLimitSpec
		shared        *verifier.SharedLimits
		name          string // empty: no limit is told
		policy, reset string
		status        int
		grpc          codes.Code
		text, retry   string
	}{
		"RATE_LIMITED": {limit: v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}},
			name: "minute", policy: "q=1;w=60", reset: "60", status: 429, grpc: codes.ResourceExhausted, text: "Rate limit exceeded. Please try again later.", retry: "60"},
		"QUOTA_EXHAUSTED": {limit: indextest.Quota(1, v1alpha1.ResetDaily),
			name: "daily-quota", policy: "q=1;w=86400", reset: midnight, status: 429, grpc: codes.ResourceExhausted, text: "Request quota is used up. Please try again when it resets.", retry: midnight},
		"BUDGET_EXHAUSTED": {limit: indextest.Budget(1, v1alpha1.ResetMonthly),
			name: "monthly-budget", policy: `q=1;qu="microcents";w=2678400`, reset: april, status: 429, grpc: codes.ResourceExhausted, text: "Budget is used up. Please try again when it resets.", retry: april},
		"CONCURRENCY_EXCEEDED": {limit: indextest.Concurrency(1),
			name: "concurrency", policy: `q=1;qu="concurrent-requests"`, reset: "60", status: 429, grpc: codes.ResourceExhausted, text: "Too many requests at once. Please try again later.", retry: "1"},
		"LIMITS_UNAVAILABLE": {limit: strict, shared: nobodyThere,
			status: 503, grpc: codes.Unavailable, text: "Limits cannot be checked right now. Please try again later.", retry: "1"},
	} {
		t.Run(code, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			f := newLimitedFixture(t, test.limit, test.shared, func(o *Options) { o.Registerer = registry })
			r := request([]string{"x-api-key: " + f.key})
			expect := func(told map[string]string, response *authv3.CheckResponse, left string) {
				t.Helper()
				policy, state := "", ""
				if test.name != "" {
					policy, state = `"`+test.name+`";`+test.policy, `"`+test.name+`";r=`+left+`;t=`+test.reset
				}
				if told["ratelimit-policy"] != policy || told["ratelimit"] != state {
					t.Errorf("the client is told %v, want %s and %s", told, policy, state)
				}
				fields := response.GetDynamicMetadata().GetFields()["claviger"].GetStructValue().GetFields()
				remaining := fields["remaining"].GetStructValue().GetFields()
				if _, ok := remaining[test.name]; ok != (test.name != "") || fields["keyName"].GetStringValue() != "k" {
					t.Errorf("other filters are told %v", fields)
				}
			}
			passed := 0
			if test.status == 429 {
				passed++
				response := f.check(t, r)
				// What a request costs is known afterwards: the budget is crossed by a report.
				left := "0"
				if code == "BUDGET_EXHAUSTED" {
					left = "1"
					report := verifier.Report{RequestID: "from-envoy", Key: f.key, SpendMicrocents: 1}
					if _, err := f.verifier.Report(t.Context(), report); err != nil {
						t.Fatal(err)
					}
				}
				expect(set(t, response.GetOkResponse().GetResponseHeadersToAdd()), response, left)
			}
			response := f.check(t, r)
			got := refusalOf(t, response)
			if got.status != test.status || got.code != test.grpc || got.problem.Code != code || got.problem.Error != test.text || got.headers["retry-after"] != test.retry {
				t.Errorf("got %+v", got)
			}
			expect(got.headers, response, "0")
			if counts := answered(t, registry); counts["200"] != uint64(passed) || counts[strconv.Itoa(test.status)] != 1 {
				t.Errorf("counted are %v", counts)
			}
		})
	}
}

// The request's ID is Envoy's, and so the service can report with what it has.
func TestAReportWithEnvoysIDReleasesTheSlot(t *testing.T) {
	f := newLimitedFixture(t, indextest.Concurrency(1), nil, func(*Options) {})
	r := request([]string{"x-api-key: " + f.key, "x-request-id: 6f1c9a52"})
	service := f.allowed(t, r)
	if got := f.refused(t, r); got.problem.Code != "CONCURRENCY_EXCEEDED" {
		t.Fatalf("got %+v", got)
	}
	if service["x-claviger-key-id"] != string(indextest.UID("key", "k")) {
		t.Errorf("the service gets %v", service)
	}
	if _, err := f.verifier.Report(t.Context(), verifier.Report{RequestID: service["x-request-id"], Key: f.key}); err != nil {
		t.Fatal(err)
	}
	f.allowed(t, r)
}

// answered is how many requests were counted by status.
func answered(t *testing.T, registry *prometheus.Registry) map[string]uint64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() == "claviger_extauthz_request_duration_seconds" {
			for _, metric := range family.GetMetric() {
				counts[metric.GetLabel()[0].GetValue()] = metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return counts
}
