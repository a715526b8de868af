package keyindex

import (
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limit"
)

// rulesOf is what a KeyLimit comes to. What is no rule is left out: the schema refuses it, and counting it would panic or
// refuse every request.
func rulesOf(spec *v1alpha1.KeyLimitSpec) []limit.Rule {
	rules := make([]limit.Rule, 0, len(spec.Rates)+3)
	add := func(rule limit.Rule) {
		if rule.Max >= 1 && rule.Max <= rule.Kind.Most() {
			rules = append(rules, rule)
		}
	}
	for _, rate := range spec.Rates {
		if rate.Per.Duration <= 0 {
			continue
		}
		rule := limit.Rule{Kind: limit.Span, Max: rate.Requests, Per: rate.Per.Duration}
		if rate.Burst != nil && *rate.Burst > 0 {
			rule.Kind, rule.Burst = limit.Tokens, min(*rate.Burst, limit.MaxRequests)
		}
		add(rule)
	}
	if quota := spec.Quota; quota != nil {
		calendar := calendarOf(quota.ResetPeriod, quota.AnchorDay, quota.TimeZone)
		if quota.Requests != nil {
			add(limit.Rule{Kind: limit.Quota, Max: *quota.Requests, Calendar: calendar})
		}
		if quota.SpendMicrocents != nil {
			add(limit.Rule{Kind: limit.Budget, Max: *quota.SpendMicrocents, Calendar: calendar})
		}
	}
	if concurrency := spec.Concurrency; concurrency != nil {
		timeout := defaultTimeout
		if concurrency.Timeout != nil && concurrency.Timeout.Duration > 0 {
			timeout = concurrency.Timeout.Duration
		}
		add(limit.Rule{Kind: limit.Concurrency, Max: concurrency.Requests, Per: timeout})
	}
	return rules
}

// As the schema has it.
const defaultTimeout = time.Minute

// calendarOf takes a time zone that is none for UTC, so that what is counted by it is counted all the same.
func calendarOf(period v1alpha1.ResetPeriod, anchorDay *int32, timeZone string) *limit.Calendar {
	reset := map[v1alpha1.ResetPeriod]limit.Reset{v1alpha1.ResetDaily: limit.Daily, v1alpha1.ResetWeekly: limit.Weekly}[period]
	zone, err := time.LoadLocation(timeZone)
	if err != nil || timeZone == "Local" {
		zone = time.UTC
	}
	return limit.NewCalendar(reset, anchorOf(anchorDay), zone)
}

func anchorOf(day *int32) int {
	if day == nil {
		return 1
	}
	return int(*day)
}
