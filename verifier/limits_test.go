package verifier_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/verifier"
)

type limitSpec = v1alpha1.KeyLimitSpec

func setLimit(x *keyindex.Index, name string, s limitSpec) {
	x.SetKeyLimit(&v1alpha1.KeyLimit{ObjectMeta: indextest.Meta("limit", name), Spec: s})
}

func quotaOf(requests int64) *v1alpha1.Quota { return &v1alpha1.Quota{Requests: &requests} }

func budgetOf(microcents int64) *v1alpha1.Quota { return &v1alpha1.Quota{SpendMicrocents: &microcents} }

func limitedBy(names ...string) func(*spec) {
	return func(s *spec) { s.LimitRefs = indextest.Refs(names...) }
}

// left is what the limits of a decision have left, in order.
func left(d verifier.Decision) (list []int64) {
	for i := range d.Limits.Len() {
		list = append(list, d.Limits.At(i).Remaining)
	}
	return list
}

func TestEachKindOfLimitRefusesWithItsCode(t *testing.T) {
	april := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		limit   limitSpec
		cost    verifier.Cost
		passing int // requests that pass
		code    verifier.Code
		told    verifier.Limit // with the last that passes
		retry   time.Duration
	}{
		"a rate": {limitSpec{Rates: []v1alpha1.Rate{{Requests: 2, Per: metav1.Duration{Duration: time.Minute}}}}, verifier.Cost{}, 2,
			verifier.CodeRateLimited, verifier.Limit{Kind: verifier.LimitSpan, Max: 2, Per: time.Minute, Capacity: 2, ResetAt: now.Add(time.Minute)}, time.Minute},
		"a quota": {limitSpec{Quota: quotaOf(6)}, verifier.Cost{Requests: 3}, 2,
			verifier.CodeQuotaExhausted, verifier.Limit{Kind: verifier.LimitQuota, Max: 6, Per: 744 * time.Hour, Capacity: 6, ResetAt: april}, april.Sub(now)},
		"a budget": {limitSpec{Quota: budgetOf(100)}, verifier.Cost{SpendMicrocents: 50}, 2,
			verifier.CodeBudgetExhausted, verifier.Limit{Kind: verifier.LimitBudget, Max: 100, Per: 744 * time.Hour, Capacity: 100, ResetAt: april}, april.Sub(now)},
		"concurrency": {limitSpec{Concurrency: &v1alpha1.Concurrency{Requests: 2}}, verifier.Cost{}, 2,
			verifier.CodeConcurrencyExceeded, verifier.Limit{Kind: verifier.LimitConcurrency, Max: 2, Per: time.Minute, Capacity: 2, ResetAt: now.Add(time.Minute)}, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			setLimit(f.index, "l", test.limit)
			request := verifier.Request{ID: "r", Key: indextest.Issue(t, f.index, "k", limitedBy("l")), Cost: test.cost}
			var d verifier.Decision
			for i := range test.passing {
				if d = f.verify(t, request); !d.Valid() {
					t.Fatalf("request %d: %v", i+1, d.Code)
				}
			}
			test.told.Name = "l"
			if d.Limits.Len() != 1 || *d.Limits.At(0) != test.told {
				t.Errorf("told %+v, want %+v", d.Limits.At(0), test.told)
			}
			d = f.verify(t, request)
			if d.Code != test.code || d.Status != 429 || d.RetryAfter != test.retry || !slices.Equal(left(d), []int64{0}) {
				t.Errorf("one more: %v %d, retry after %v, left %v", d.Code, d.Status, d.RetryAfter, left(d))
			}
			last := f.ledger.events[len(f.ledger.events)-1]
			if r := last.Refusal; r == nil || r.By != string(indextest.UID("limit", "l")) || !r.Until.Equal(now.Add(test.retry)) || len(r.Shadows) > 0 {
				t.Errorf("recorded %+v", r)
			}
		})
	}
}

// Of several limits that refuse the one is named that does for longest, and none of them counts.
func TestTheLongestRefusalIsNamed(t *testing.T) {
	f := newFixture(t)
	setLimit(f.index, "l", limitSpec{
		Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}},
		Quota: &v1alpha1.Quota{Requests: new(int64(1)), ResetPeriod: v1alpha1.ResetDaily},
	})
	key := indextest.Issue(t, f.index, "k", limitedBy("l"))
	f.verify(t, verifier.Request{Key: key})
	d := f.verify(t, verifier.Request{Key: key})
	if d.Code != verifier.CodeQuotaExhausted || d.RetryAfter < 10*time.Hour || !slices.Equal(left(d), []int64{0, 0}) {
		t.Errorf("%v, retry after %v, left %v", d.Code, d.RetryAfter, left(d))
	}
}

// A limit in shadow lets everything pass, is told to nobody, and counts as if it were enforced by itself.
func TestALimitInShadowOnlyCounts(t *testing.T) {
	f := newFixture(t)
	minute := metav1.Duration{Duration: time.Minute}
	setLimit(f.index, "enforced", limitSpec{Rates: []v1alpha1.Rate{{Requests: 5, Per: minute}}})
	setLimit(f.index, "tried", limitSpec{Mode: v1alpha1.ModeShadow, Rates: []v1alpha1.Rate{{Requests: 3, Per: minute}, {Requests: 100, Per: minute}}})
	setLimit(f.index, "wide", limitSpec{Mode: v1alpha1.ModeShadow, Rates: []v1alpha1.Rate{{Requests: 4, Per: minute}}})
	key := indextest.Issue(t, f.index, "k", limitedBy("tried", "enforced", "wide"))
	for i := range 7 {
		d := f.verify(t, verifier.Request{Key: key})
		if d.Valid() != (i < 5) || d.Limits.Len() != 1 || d.Limits.At(0).Name != "enforced" {
			t.Errorf("request %d: %v %+v", i+1, d.Code, d.Limits)
		}
	}
	tried, wide := string(indextest.UID("limit", "tried")), string(indextest.UID("limit", "wide"))
	want := [][]string{nil, nil, nil, {tried}, {tried, wide}, nil, nil} // what is refused anyway is not counted
	for i, e := range f.ledger.events {
		var shadows []string
		if e.Refusal != nil {
			shadows = e.Refusal.Shadows
		}
		if !slices.Equal(shadows, want[i]) {
			t.Errorf("request %d would have been refused by %v, want %v", i+1, shadows, want[i])
		}
	}
	// What was tried is enforced with what it has counted.
	setLimit(f.index, "tried", limitSpec{Rates: []v1alpha1.Rate{{Requests: 3, Per: minute}, {Requests: 100, Per: minute}}})
	f.index.DeleteKeyLimit(types.NamespacedName{Namespace: indextest.Namespace, Name: "enforced"})
	if d := f.verify(t, verifier.Request{Key: key}); d.Code != verifier.CodeRateLimited || !slices.Equal(left(d), []int64{0, 97}) {
		t.Errorf("enforced now: %v, left %v", d.Code, left(d))
	}
}

// A department's keys share its budget, and an entity's theirs, whoever else there is.
func TestDepartmentsAndEntitiesShareALimit(t *testing.T) {
	f := newFixture(t)
	setLimit(f.index, "budget", limitSpec{Quota: budgetOf(100), Sharing: v1alpha1.SharingShared})
	setLimit(f.index, "three", limitSpec{Quota: quotaOf(3), Sharing: v1alpha1.SharingShared})
	indextest.SetWorkspace(f.index, indextest.Workspace, func(w *v1alpha1.WorkspaceSpec) {
		w.Departments = []v1alpha1.DepartmentLimits{{Name: "research", LimitRefs: indextest.Refs("budget")}, {Name: "sales", LimitRefs: indextest.Refs("budget")}}
		w.Entities = []v1alpha1.EntityLimits{{Kind: "Agent", ID: "7", LimitRefs: indextest.Refs("three")}}
	})
	of := func(name, kind, id, department string) string {
		return indextest.Issue(t, f.index, name, func(s *spec) {
			s.Entity = &v1alpha1.Entity{Kind: kind, ID: v1alpha1.EntityID(id), Department: v1alpha1.EntityID(department)}
		})
	}
	agent, again := of("agent", "Agent", "7", "research"), of("again", "Agent", "7", "research")
	colleague, seller := of("colleague", "Member", "7", "research"), of("seller", "Member", "8", "sales")
	spend := func(key string, microcents int64) verifier.Decision {
		return f.verify(t, verifier.Request{Key: key, Cost: verifier.Cost{SpendMicrocents: microcents}})
	}
	for i, step := range []struct {
		key        string
		microcents int64
		code       verifier.Code
		left       []int64
	}{
		{agent, 40, verifier.CodeValid, []int64{2, 60}},
		{again, 40, verifier.CodeValid, []int64{1, 20}},
		{colleague, 40, verifier.CodeBudgetExhausted, []int64{20}},
		{colleague, 20, verifier.CodeValid, []int64{0}},
		{seller, 100, verifier.CodeValid, []int64{0}},
		{again, 0, verifier.CodeBudgetExhausted, []int64{1, 0}},
	} {
		if d := spend(step.key, step.microcents); d.Code != step.code || !slices.Equal(left(d), step.left) {
			t.Errorf("step %d: %v, left %v, want %v %v", i, d.Code, left(d), step.code, step.left)
		}
	}
}

// Editing what is counted takes hold at once, and hands out nothing by itself.
func TestAnEditedQuotaGoesOnWithWhatWasUsed(t *testing.T) {
	f := newFixture(t)
	key := indextest.Issue(t, f.index, "k", limitedBy("l"))
	setLimit(f.index, "l", limitSpec{Quota: quotaOf(10)})
	for range 6 {
		f.verify(t, verifier.Request{Key: key})
	}
	for name, edit := range map[string]struct {
		quota v1alpha1.Quota
		left  int64
	}{
		"a smaller one":  {v1alpha1.Quota{Requests: new(int64(6))}, 0},
		"by the day":     {v1alpha1.Quota{Requests: new(int64(8)), ResetPeriod: v1alpha1.ResetDaily}, 2},
		"by the week":    {v1alpha1.Quota{Requests: new(int64(8)), ResetPeriod: v1alpha1.ResetWeekly, AnchorDay: new(int32(3))}, 2},
		"another anchor": {v1alpha1.Quota{Requests: new(int64(10)), AnchorDay: new(int32(31))}, 4},
		"another place":  {v1alpha1.Quota{Requests: new(int64(10)), TimeZone: "Pacific/Kiritimati"}, 4},
	} {
		setLimit(f.index, "l", limitSpec{Quota: &edit.quota})
		if d := f.Inspect(t.Context(), verifier.Request{Key: key}); !slices.Equal(left(d), []int64{edit.left}) {
			t.Errorf("%s: %v left, want %d", name, left(d), edit.left)
		}
	}
}
