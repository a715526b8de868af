package keyindex

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
)

func TestWhatAWorkspaceSaysOfBillingAndOfItsLog(t *testing.T) {
	number := func(n int32) *int32 { return &n }
	keeping := func(keep time.Duration, percent *int32) *v1alpha1.UsagePolicy {
		return &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: metav1.Duration{Duration: keep}, SamplePercent: percent}}
	}
	tests := map[string]struct {
		spec    v1alpha1.WorkspaceSpec
		billing string
		log     policy.RequestLog
	}{
		"nothing":                           {v1alpha1.WorkspaceSpec{}, "Monthly/1/UTC", policy.RequestLog{}},
		"an empty billing":                  {v1alpha1.WorkspaceSpec{Billing: &v1alpha1.Billing{}}, "Monthly/1/UTC", policy.RequestLog{}},
		"weeks that begin on Sunday":        {v1alpha1.WorkspaceSpec{Billing: &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetWeekly, AnchorDay: number(7)}}, "Weekly/7/UTC", policy.RequestLog{}},
		"months of Berlin":                  {v1alpha1.WorkspaceSpec{Billing: &v1alpha1.Billing{AnchorDay: number(31), TimeZone: "Europe/Berlin"}}, "Monthly/31/Europe/Berlin", policy.RequestLog{}},
		"a zone that is none":               {v1alpha1.WorkspaceSpec{Billing: &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetDaily, TimeZone: "Europe/Atlantis"}}, "Daily/1/UTC", policy.RequestLog{}},
		"the machine's zone":                {v1alpha1.WorkspaceSpec{Billing: &v1alpha1.Billing{TimeZone: "Local"}}, "Monthly/1/UTC", policy.RequestLog{}},
		"no log in particular":              {v1alpha1.WorkspaceSpec{Usage: &v1alpha1.UsagePolicy{}}, "Monthly/1/UTC", policy.RequestLog{}},
		"a log of all":                      {v1alpha1.WorkspaceSpec{Usage: keeping(time.Hour, nil)}, "Monthly/1/UTC", policy.RequestLog{Retention: time.Hour, Percent: 100}},
		"a log of some":                     {v1alpha1.WorkspaceSpec{Usage: keeping(time.Hour, number(5))}, "Monthly/1/UTC", policy.RequestLog{Retention: time.Hour, Percent: 5}},
		"a log that is kept for no time":    {v1alpha1.WorkspaceSpec{Usage: keeping(0, number(5))}, "Monthly/1/UTC", policy.RequestLog{}},
		"a log of more requests than there": {v1alpha1.WorkspaceSpec{Usage: keeping(time.Hour, number(101))}, "Monthly/1/UTC", policy.RequestLog{Retention: time.Hour, Percent: 100}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := New()
			x.SetWorkspace(shop())
			x.SetWorkspace(shop(func(s *v1alpha1.WorkspaceSpec) { *s = test.spec }))
			got, found := x.Workspace("ns/shop")
			if !found || got.Suspended || got.Billing.String() != test.billing || got.RequestLog != test.log {
				t.Errorf("it is %+v with %v, want %s and %+v", got, got.Billing, test.billing, test.log)
			}
		})
	}
}

func TestAWorkspaceIsFoundWhileItExists(t *testing.T) {
	x := New()
	x.SetApiKey(key("k")) // which only names it
	is := func(when string, want bool) {
		t.Helper()
		if got, found := x.Workspace("ns/shop"); found != want || (got != nil) != want {
			t.Errorf("%s it is %v (%v)", when, got, found)
		}
	}
	is("before there is one", false)
	x.SetWorkspace(shop())
	is("now", true)
	for _, other := range []string{"", "shop", "ns/", "/shop", "ns/shop/", "other/shop"} {
		if _, found := x.Workspace(other); found {
			t.Errorf("%q is found", other)
		}
	}
	x.DeleteWorkspace(in("shop"))
	is("after it was deleted", false)
}

func billedDaily(s *v1alpha1.WorkspaceSpec) {
	s.Billing = &v1alpha1.Billing{ResetPeriod: v1alpha1.ResetDaily}
}

func TestWorkspacesWithTheSamePolicyShareIt(t *testing.T) {
	x := New()
	for i := range 10 {
		w := shop(billedDaily, func(s *v1alpha1.WorkspaceSpec) { s.DisplayName = fmt.Sprint(i) })
		w.Name = fmt.Sprint("shop-", i)
		x.SetWorkspace(w)
	}
	first, _ := x.Workspace("ns/shop-0")
	for i := range 10 {
		if got, _ := x.Workspace(fmt.Sprint("ns/shop-", i)); got != first {
			t.Errorf("the policy of %d is another", i)
		}
	}
}

func TestASuspendedWorkspaceKeepsItsPeriods(t *testing.T) {
	for name, suspend := range map[string]func(*Index){
		"by its spec":           func(x *Index) { x.SetWorkspace(shop(billedDaily, suspendedShop)) },
		"ahead of its new spec": func(x *Index) { x.StopWorkspace(in("shop")) },
	} {
		x := New()
		x.SetWorkspace(shop(billedDaily))
		suspend(x)
		read, err := Decode(bytes.NewReader(encoded(t, x)))
		if err != nil {
			t.Fatal(err)
		}
		for where, x := range map[string]*Index{"in the index": x, "in one that was read": read} {
			if got, _ := x.Workspace("ns/shop"); !got.Suspended || got.Billing.String() != "Daily/1/UTC" {
				t.Errorf("suspended %s it is %+v with %v %s", name, got, got.Billing, where)
			}
		}
	}
}
