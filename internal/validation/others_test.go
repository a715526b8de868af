package validation

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func maxKeys(n int32) func(*v1alpha1.Workspace) {
	return func(w *v1alpha1.Workspace) { w.Spec.Keys.MaxKeys = &n }
}

func TestNumberOfKeys(t *testing.T) {
	several := func(n int32) *v1alpha1.ServiceAccount {
		return anAccount(func(a *v1alpha1.ServiceAccount) { a.Spec.MaxActiveKeys = n })
	}
	for _, c := range []struct {
		name string
		key  *v1alpha1.ApiKey
		refs References
		want []string
	}{
		{"a workspace without a maximum", aKey(), References{Workspace: aWorkspace(), KeysInWorkspace: 100000}, nil},
		{"the last key a workspace may have", aKey(), References{Workspace: aWorkspace(maxKeys(3)), KeysInWorkspace: 2}, nil},
		{"one more than a workspace may have", aKey(), References{Workspace: aWorkspace(maxKeys(3)), KeysInWorkspace: 3},
			[]string{`spec.workspaceRef: Workspace "shop" may have 3 keys and has 3`}},
		{"the only key of an account", aKey(ofAccount), References{ServiceAccount: several(1)}, nil},
		{"a second key of an account with one", aKey(ofAccount), References{ServiceAccount: several(1), KeysOfAccount: 1},
			[]string{`spec.serviceAccountRef: ServiceAccount "robot" may have 1 key and has 1`}},
		{"one is the maximum where none is set", aKey(ofAccount), References{ServiceAccount: several(0), KeysOfAccount: 1},
			[]string{"spec.serviceAccountRef: may have 1 key"}},
		{"a second key of an account with two", aKey(ofAccount), References{ServiceAccount: several(2), KeysOfAccount: 1}, nil},
		{"a revoked key is never one too many", aKey(withState(v1alpha1.KeyRevoked)),
			References{Workspace: aWorkspace(maxKeys(1)), KeysInWorkspace: 5}, nil},
		{"nor is one that has ended", aKey(withEnd(in(-day))),
			References{Workspace: aWorkspace(maxKeys(1)), KeysInWorkspace: 5, IssuedAt: now.Add(-2 * day)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, ApiKey(c.key, c.refs, now), c.want...) })
	}
	t.Run("an ended key is not revived over the maximum", func(t *testing.T) {
		refs := References{Workspace: aWorkspace(maxKeys(1)), KeysInWorkspace: 1, IssuedAt: now.Add(-2 * day)}
		expect(t, ApiKeyUpdate(aKey(withEnd(in(-day))), aKey(withEnd(in(day))), refs, now), "spec.workspaceRef: may have 1 key")
	})
}

func TestAccountOfAnotherWorkspace(t *testing.T) {
	elsewhere := anAccount(withCeiling("nothing:here"), func(a *v1alpha1.ServiceAccount) { a.Spec.WorkspaceRef.Name = "bank" })
	expect(t, ApiKey(aKey(ofAccount), References{ServiceAccount: elsewhere}, now),
		`spec.serviceAccountRef.name: belongs to Workspace "bank", and the key to "shop"`)
}

func TestWorkspace(t *testing.T) {
	number := func(n int32) *int32 { return &n }
	for _, c := range []struct {
		name   string
		change func(*v1alpha1.WorkspaceSpec)
		want   []string
	}{
		{"an empty workspace is valid", func(*v1alpha1.WorkspaceSpec) {}, nil},
		{"a display name is one line", func(s *v1alpha1.WorkspaceSpec) { s.DisplayName = "a\x1b[2J" }, []string{"spec.displayName: one line"}},
		{"implications may run in a circle", func(s *v1alpha1.WorkspaceSpec) {
			s.Scopes = []v1alpha1.ScopeDefinition{define("a", "b"), define("b", "c"), define("c", "a"), define("d", "d")}
		}, nil},
		{"an entry may imply wildcards and what is not listed", func(s *v1alpha1.WorkspaceSpec) {
			s.Scopes = []v1alpha1.ScopeDefinition{define("admin", "orders.**", "stock:read")}
		}, nil},
		{"an entry is no wildcard", func(s *v1alpha1.WorkspaceSpec) { s.Scopes = []v1alpha1.ScopeDefinition{define("orders:*")} },
			[]string{"spec.scopes[0].name: no wildcards"}},
		{"an entry is well-formed", func(s *v1alpha1.WorkspaceSpec) { s.Scopes = []v1alpha1.ScopeDefinition{define("orders:")} },
			[]string{"spec.scopes[0].name: after the colon"}},
		{"what it implies is well-formed", func(s *v1alpha1.WorkspaceSpec) { s.Scopes = []v1alpha1.ScopeDefinition{define("a", "b", "**.c")} },
			[]string{"spec.scopes[0].implies[1]: must be the last part"}},
		{"nothing is implied twice", func(s *v1alpha1.WorkspaceSpec) { s.Scopes = []v1alpha1.ScopeDefinition{define("a", "b", "b")} },
			[]string{"spec.scopes[0].implies[1]: Duplicate"}},
		{"nothing is listed twice", func(s *v1alpha1.WorkspaceSpec) { s.Scopes = []v1alpha1.ScopeDefinition{define("a"), define("a")} },
			[]string{"spec.scopes[1]: Duplicate"}},
		{"501 entries are too many", func(s *v1alpha1.WorkspaceSpec) {
			for i := range 501 {
				s.Scopes = append(s.Scopes, define(v1alpha1.Scope(fmt.Sprintf("s%d", i))))
			}
		}, []string{"spec.scopes: at most 500"}},
		{"implications are bounded in all", func(s *v1alpha1.WorkspaceSpec) {
			for i := range 21 {
				s.Scopes = append(s.Scopes, define(v1alpha1.Scope(fmt.Sprintf("s%d", i))))
				for j := range 100 {
					s.Scopes[i].Implies = append(s.Scopes[i].Implies, v1alpha1.Scope(fmt.Sprintf("i%d", j)))
				}
			}
		}, []string{"spec.scopes.implies: at most 2000"}},
		{"a prefix is checked", func(s *v1alpha1.WorkspaceSpec) { s.Keys.Prefix = "AK" }, []string{"spec.keys.prefix: small letter"}},
		{"ttls are at least a second", func(s *v1alpha1.WorkspaceSpec) {
			s.Keys.DefaultTTL, s.Keys.MaxTTL = lasting(0), lasting(-time.Hour)
		}, []string{"spec.keys.defaultTTL: at least 1s", "spec.keys.maxTTL: at least 1s", "spec.keys.defaultTTL: not be longer"}},
		{"the default is within the maximum", func(s *v1alpha1.WorkspaceSpec) {
			s.Keys.DefaultTTL, s.Keys.MaxTTL = lasting(2*day), lasting(day)
		}, []string{"spec.keys.defaultTTL: not be longer than maxTTL, which is 24h"}},
		{"no keys at all is not a maximum", func(s *v1alpha1.WorkspaceSpec) { s.Keys.MaxKeys = new(int32) },
			[]string{"spec.keys.maxKeys: set spec.suspended"}},
		{"billing periods may begin on any day anywhere", func(s *v1alpha1.WorkspaceSpec) {
			s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetWeekly, AnchorDay: number(7), TimeZone: "Asia/Kathmandu"}
		}, nil},
		{"a billing day and zone must exist", func(s *v1alpha1.WorkspaceSpec) {
			s.Billing = &v1alpha1.Billing{ResetPeriod: "Yearly", AnchorDay: number(32), TimeZone: "Local"}
		}, []string{"spec.billing.resetPeriod: supported values", "spec.billing.anchorDay: from 1 to 31", "spec.billing.timeZone: a name of the IANA"}},
		{"a log of an hour and of 397 days", func(s *v1alpha1.WorkspaceSpec) {
			s.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: *lasting(397 * day), SamplePercent: number(1)}}
		}, nil},
		{"a log is kept for a while and has something in it", func(s *v1alpha1.WorkspaceSpec) {
			s.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{SamplePercent: number(0)}}
		}, []string{"spec.usage.requestLog.retention: from 1h to 9528h", "spec.usage.requestLog.samplePercent: from 1 to 100"}},
		{"no log is kept for longer than 397 days", func(s *v1alpha1.WorkspaceSpec) {
			s.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: *lasting(397*day + time.Second)}}
		}, []string{"spec.usage.requestLog.retention: leave requestLog out"}},
		{"limits are checked", func(s *v1alpha1.WorkspaceSpec) { s.LimitRefs = []v1alpha1.LocalReference{named("A")} },
			[]string{"spec.limitRefs[0].name: RFC 1123"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			workspace := aWorkspace()
			c.change(&workspace.Spec)
			expect(t, Workspace(workspace), c.want...)
			expect(t, WorkspaceUpdate(workspace, workspace)) // and once stored it stands in nobody's way
		})
	}
}

func TestServiceAccount(t *testing.T) {
	catalogued := aWorkspace(withCatalogue(define("orders:read")))
	expect(t, ServiceAccount(anAccount(withCeiling("any:thing")), nil))
	expect(t, ServiceAccount(anAccount(withCeiling("orders:read", "**")), catalogued))
	expect(t, ServiceAccount(anAccount(withCeiling("orders:read", "orders:drop")), catalogued), "spec.scopes[1]: not in the catalogue")
	expect(t, ServiceAccount(anAccount(withCeiling("a b")), nil), "spec.scopes[0]: between the dots")
	tooMany := anAccount(func(a *v1alpha1.ServiceAccount) { a.Spec.MaxActiveKeys = 1001 })
	expect(t, ServiceAccount(tooMany, nil), "spec.maxActiveKeys: from 1 to 1000")

	moved := anAccount(func(a *v1alpha1.ServiceAccount) { a.Spec.WorkspaceRef.Name = "bank" })
	expect(t, ServiceAccountUpdate(anAccount(), moved, nil), "spec.workspaceRef.name: cannot be changed")
	old := anAccount(withCeiling("gone:read"))
	renamed := anAccount(withCeiling("gone:read"), func(a *v1alpha1.ServiceAccount) { a.Spec.DisplayName = "Robot" })
	expect(t, ServiceAccountUpdate(old, renamed, catalogued))
}

func TestKeyLimit(t *testing.T) {
	burst := func(n int64) *int64 { return &n }
	per := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	for _, c := range []struct {
		name string
		rate v1alpha1.Rate
		want []string
	}{
		{"a hundred a minute", v1alpha1.Rate{Requests: 100, Per: per(time.Minute)}, nil},
		{"the fastest", v1alpha1.Rate{Requests: 10_000_000, Per: per(time.Second), Burst: burst(10_000_000)}, nil},
		{"the slowest", v1alpha1.Rate{Requests: 1, Per: per(744 * time.Hour), Burst: burst(1)}, nil},
		{"no requests", v1alpha1.Rate{Per: per(time.Minute)}, []string{"spec.rates[0].requests: from 1 to 10000000"}},
		{"too many requests", v1alpha1.Rate{Requests: 10_000_001, Per: per(time.Minute)}, []string{"spec.rates[0].requests: from 1"}},
		{"a span too short", v1alpha1.Rate{Requests: 1, Per: per(time.Millisecond)}, []string{"spec.rates[0].per: from 1s to 744h"}},
		{"a span too long", v1alpha1.Rate{Requests: 1, Per: per(745 * time.Hour)}, []string{"spec.rates[0].per: from 1s to 744h"}},
		{"an empty burst", v1alpha1.Rate{Requests: 1, Per: per(time.Minute), Burst: burst(0)}, []string{"spec.rates[0].burst: from 1"}},
		{"a burst that would hardly ever flow in again", v1alpha1.Rate{Requests: 1, Per: per(time.Hour), Burst: burst(1_000_000)},
			[]string{"spec.rates[0].burst: at most 8784"}},
		{"the largest burst that does", v1alpha1.Rate{Requests: 1, Per: per(time.Hour), Burst: burst(8784)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := &v1alpha1.KeyLimit{Spec: v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{c.rate}}}
			expect(t, KeyLimit(limit), c.want...)
			expect(t, KeyLimitUpdate(limit, limit))
		})
	}
	minute := v1alpha1.Rate{Requests: 1, Per: per(time.Minute)}
	expect(t, KeyLimit(&v1alpha1.KeyLimit{}), "spec: state rates, quota or concurrency")
	expect(t, KeyLimit(&v1alpha1.KeyLimit{Spec: v1alpha1.KeyLimitSpec{
		Rates: []v1alpha1.Rate{minute, minute, minute, minute, minute, minute, minute, minute, minute}, Sharing: "Global",
	}}), "spec.rates: at most 8", "spec.sharing: supported values")
}

func TestQuotasAndConcurrency(t *testing.T) {
	some := func(n int64) *int64 { return &n }
	day := func(n int32) *int32 { return &n }
	for _, c := range []struct {
		name string
		spec v1alpha1.KeyLimitSpec
		want []string
	}{
		{"a monthly quota", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1)}}, nil},
		{"a budget by the week of a place", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{
			SpendMicrocents: some(250_000_000_000_000), ResetPeriod: v1alpha1.ResetWeekly, AnchorDay: day(7), TimeZone: "Pacific/Apia",
		}}, nil},
		{"at most some at once", v1alpha1.KeyLimitSpec{Concurrency: &v1alpha1.Concurrency{Requests: 10_000, Timeout: lasting(24 * time.Hour)}}, nil},
		{"a quota of nothing", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{}}, []string{"spec.quota: state requests, spendMicrocents or both"}},
		{"quotas out of bounds", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(0), SpendMicrocents: some(250_000_000_000_001)}},
			[]string{"spec.quota.requests: from 1", "spec.quota.spendMicrocents: from 1"}},
		{"a period that is none", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), ResetPeriod: "Yearly"}},
			[]string{"spec.quota.resetPeriod: supported values"}},
		{"an anchor in a day", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), ResetPeriod: v1alpha1.ResetDaily, AnchorDay: day(1)}},
			[]string{"spec.quota.anchorDay: left out"}},
		{"an eighth day of the week", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), ResetPeriod: v1alpha1.ResetWeekly, AnchorDay: day(8)}},
			[]string{"spec.quota.anchorDay: from 1 (Monday)"}},
		{"a 32nd day of the month", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), AnchorDay: day(32)}},
			[]string{"spec.quota.anchorDay: from 1 to 31"}},
		{"a zone that is none", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), TimeZone: "Europe/Atlantis"}},
			[]string{"spec.quota.timeZone: a name of the IANA"}},
		{"a zone that differs by machine", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), TimeZone: "Local"}},
			[]string{"spec.quota.timeZone: a name of the IANA"}},
		{"a path for a zone", v1alpha1.KeyLimitSpec{Quota: &v1alpha1.Quota{Requests: some(1), TimeZone: "../../etc/localtime"}},
			[]string{"spec.quota.timeZone: a name of the IANA"}},
		{"none at once, for too short", v1alpha1.KeyLimitSpec{Concurrency: &v1alpha1.Concurrency{Timeout: lasting(time.Millisecond)}},
			[]string{"spec.concurrency.requests: from 1", "spec.concurrency.timeout: from 1s"}},
		{"modes that are none", v1alpha1.KeyLimitSpec{Concurrency: &v1alpha1.Concurrency{Requests: 1}, Mode: "Dry", Consistency: "Eventual"},
			[]string{"spec.mode: supported values", "spec.consistency: supported values"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := &v1alpha1.KeyLimit{Spec: c.spec}
			expect(t, KeyLimit(limit), c.want...)
			expect(t, KeyLimitUpdate(limit, limit))
		})
	}
}

func TestLimitsOfDepartmentsAndEntities(t *testing.T) {
	refs := []v1alpha1.LocalReference{named("budget")}
	expect(t, Workspace(aWorkspace(func(w *v1alpha1.Workspace) {
		w.Spec.Departments = []v1alpha1.DepartmentLimits{{Name: "research", LimitRefs: refs}, {Name: "sales", LimitRefs: refs}}
		w.Spec.Entities = []v1alpha1.EntityLimits{{Kind: "Agent", ID: "7", LimitRefs: refs}, {Kind: "Member", ID: "7", LimitRefs: refs}}
	})))
	expect(t, Workspace(aWorkspace(func(w *v1alpha1.Workspace) {
		w.Spec.Departments = []v1alpha1.DepartmentLimits{{Name: "a b", LimitRefs: refs}, {Name: "a", LimitRefs: []v1alpha1.LocalReference{named("A")}}, {Name: "a", LimitRefs: refs}}
		w.Spec.Entities = []v1alpha1.EntityLimits{{Kind: "agent", ID: "", LimitRefs: refs}, {Kind: "Agent", ID: "7"}, {Kind: "Agent", ID: "7", LimitRefs: refs}}
	})),
		"spec.departments[0].name: visible ASCII", "spec.departments[1].limitRefs[0].name: RFC 1123", "spec.departments[2]: Duplicate",
		"spec.entities[0].kind: begins with a capital", "spec.entities[0].id: visible ASCII", "spec.entities[1].limitRefs: name the KeyLimits", "spec.entities[2]: Duplicate")
}
