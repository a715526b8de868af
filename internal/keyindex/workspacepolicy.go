package keyindex

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/policy"
)

// Workspace finds a Workspace by its ID, namespace/name. It may wait for a writer.
func (x *Index) Workspace(id string) (*policy.Workspace, bool) {
	namespace, name, ok := strings.Cut(id, "/")
	if !ok {
		return nil, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.workspaces[types.NamespacedName{Namespace: namespace, Name: name}]
	if w == nil {
		return nil, false
	}
	value := w.value.Load()
	return value, value != nil
}

// policyOf is what a Workspace's spec comes to, but for whether it is suspended. Most tenants have the same, and
// share it: so what a reader follows to it is always at hand.
func (x *Index) policyOf(spec *v1alpha1.WorkspaceSpec, suspended bool) *policy.Workspace {
	of := []string{strconv.FormatBool(suspended)}
	if b := spec.Billing; b != nil {
		of = append(of, string(b.ResetPeriod), strconv.Itoa(anchorOf(b.AnchorDay)), b.TimeZone)
	}
	log := requestLogOf(spec.Usage)
	of = append(of, log.Retention.String(), strconv.Itoa(log.Percent))
	return x.policies.get(of, len(x.workspaces), func() *policy.Workspace {
		return &policy.Workspace{Suspended: suspended, Billing: billingOf(spec.Billing), RequestLog: log}
	})
}

// monthly is how usage is counted unless a Workspace says otherwise.
var monthly = limit.NewCalendar(limit.Monthly, 1, nil)

func billingOf(billing *v1alpha1.Billing) *limit.Calendar {
	if billing == nil {
		return monthly
	}
	return calendarOf(billing.ResetPeriod, billing.AnchorDay, billing.TimeZone)
}

// As the schema has it.
const defaultPercent = 100

// requestLogOf takes a retention that is none for no log.
func requestLogOf(usage *v1alpha1.UsagePolicy) policy.RequestLog {
	if usage == nil || usage.RequestLog == nil || usage.RequestLog.Retention.Duration <= 0 {
		return policy.RequestLog{}
	}
	log := policy.RequestLog{Retention: usage.RequestLog.Retention.Duration, Percent: defaultPercent}
	if percent := usage.RequestLog.SamplePercent; percent != nil {
		log.Percent = max(1, min(int(*percent), defaultPercent))
	}
	return log
}
