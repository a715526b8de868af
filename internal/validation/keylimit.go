package validation

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limit"
)

// The bounds of a KeyLimit. The CRD's schema states the same, but for the refill and the time zone.
const (
	maxRates = 8
	minPer   = time.Second
	maxPer   = 744 * time.Hour
	// A burst that takes longer to flow in again is no rate but a quota, and must be a mistake.
	maxRefill  = 366 * 24 * time.Hour
	maxTimeout = 24 * time.Hour
)

// KeyLimit checks a limit.
func KeyLimit(l *v1alpha1.KeyLimit) field.ErrorList {
	path, spec := field.NewPath("spec"), &l.Spec
	rates := path.Child("rates")
	errs := oneOf(path.Child("sharing"), spec.Sharing, v1alpha1.SharingPerKey, v1alpha1.SharingShared)
	errs = append(errs, oneOf(path.Child("mode"), spec.Mode, v1alpha1.ModeEnforce, v1alpha1.ModeShadow)...)
	errs = append(errs, oneOf(path.Child("consistency"), spec.Consistency, v1alpha1.ConsistencyLeased, v1alpha1.ConsistencyStrict)...)
	if len(spec.Rates) == 0 && spec.Quota == nil && spec.Concurrency == nil {
		errs = append(errs, field.Required(path, "state rates, quota or concurrency; to turn the limit off, set enabled: false"))
	}
	errs = append(errs, atMost(rates, len(spec.Rates), maxRates)...)
	for i, r := range spec.Rates {
		errs = append(errs, rate(rates.Index(i), r)...)
	}
	if spec.Quota != nil {
		errs = append(errs, quota(path.Child("quota"), spec.Quota)...)
	}
	if spec.Concurrency != nil {
		errs = append(errs, concurrency(path.Child("concurrency"), spec.Concurrency)...)
	}
	return errs
}

// KeyLimitUpdate checks a change. Errors that the old limit had already are not raised again.
func KeyLimitUpdate(old, l *v1alpha1.KeyLimit) field.ErrorList {
	return unseen(KeyLimit(l), KeyLimit(old))
}

func rate(path *field.Path, r v1alpha1.Rate) field.ErrorList {
	errs := within(path.Child("requests"), r.Requests, limit.MaxRequests)
	if r.Per.Duration < minPer || r.Per.Duration > maxPer {
		errs = append(errs, field.Invalid(path.Child("per"), r.Per.Duration.String(), "must be from 1s to 744h"))
	}
	if r.Burst == nil {
		return errs
	}
	errs = append(errs, within(path.Child("burst"), *r.Burst, limit.MaxRequests)...)
	if len(errs) > 0 {
		return errs
	}
	if refill := float64(*r.Burst) / float64(r.Requests) * float64(r.Per.Duration); refill > float64(maxRefill) {
		largest := math.Floor(float64(maxRefill) / float64(r.Per.Duration) * float64(r.Requests))
		errs = append(errs, field.Invalid(path.Child("burst"), *r.Burst, fmt.Sprintf(
			"would take more than a year to flow in again at this rate: at most %.0f", largest)))
	}
	return errs
}

func quota(path *field.Path, q *v1alpha1.Quota) field.ErrorList {
	var errs field.ErrorList
	if q.Requests == nil && q.SpendMicrocents == nil {
		errs = append(errs, field.Required(path, "state requests, spendMicrocents or both"))
	}
	if q.Requests != nil {
		errs = append(errs, within(path.Child("requests"), *q.Requests, limit.MaxCounted)...)
	}
	if q.SpendMicrocents != nil {
		errs = append(errs, within(path.Child("spendMicrocents"), *q.SpendMicrocents, limit.MaxCounted)...)
	}
	return append(errs, calendar(path, q.ResetPeriod, q.AnchorDay, q.TimeZone)...)
}

// calendar checks what stands in resetPeriod, anchorDay and timeZone below a path.
func calendar(path *field.Path, period v1alpha1.ResetPeriod, day *int32, zone string) field.ErrorList {
	errs := oneOf(path.Child("resetPeriod"), period, v1alpha1.ResetDaily, v1alpha1.ResetWeekly, v1alpha1.ResetMonthly)
	errs = append(errs, anchorDay(path.Child("anchorDay"), period, day)...)
	return append(errs, timeZone(path.Child("timeZone"), zone)...)
}

func anchorDay(path *field.Path, period v1alpha1.ResetPeriod, day *int32) field.ErrorList {
	if day == nil {
		return nil
	}
	switch period {
	case v1alpha1.ResetDaily:
		return field.ErrorList{field.Invalid(path, *day, "must be left out with Daily")}
	case v1alpha1.ResetWeekly:
		if *day < 1 || *day > 7 {
			return field.ErrorList{field.Invalid(path, *day, "must be from 1 (Monday) to 7 (Sunday) with Weekly")}
		}
	default:
		return within(path, int64(*day), 31)
	}
	return nil
}

// timeZone refuses Local, which is another zone on another machine.
func timeZone(path *field.Path, name string) field.ErrorList {
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return field.ErrorList{field.Invalid(path, name, "must be a name of the IANA time zone database, for example Europe/Berlin, or left out for UTC")}
	}
	return nil
}

func concurrency(path *field.Path, c *v1alpha1.Concurrency) field.ErrorList {
	errs := within(path.Child("requests"), c.Requests, limit.MaxConcurrency)
	if c.Timeout != nil && (c.Timeout.Duration < minPer || c.Timeout.Duration > maxTimeout) {
		errs = append(errs, field.Invalid(path.Child("timeout"), c.Timeout.Duration.String(), "must be from 1s to 24h"))
	}
	return errs
}

func within(path *field.Path, n, most int64) field.ErrorList {
	if n < 1 || n > most {
		return field.ErrorList{field.Invalid(path, n, fmt.Sprintf("must be from 1 to %d", most))}
	}
	return nil
}
