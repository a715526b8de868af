package validation

import (
	"fmt"
	"math"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/limit"
)

// The bounds of a KeyLimit. The CRD's schema states the same, but for the refill.
const (
	maxRates = 8
	minPer   = time.Second
	maxPer   = 744 * time.Hour
	// A burst that takes longer to flow in again is no rate but a quota, and must be a mistake.
	maxRefill = 366 * 24 * time.Hour
)

// KeyLimit checks a limit.
func KeyLimit(l *v1alpha1.KeyLimit) field.ErrorList {
	path := field.NewPath("spec")
	rates := path.Child("rates")
	errs := oneOf(path.Child("sharing"), l.Spec.Sharing, v1alpha1.SharingPerKey, v1alpha1.SharingShared)
	errs = append(errs, atMost(rates, len(l.Spec.Rates), maxRates)...)
	if len(l.Spec.Rates) == 0 {
		errs = append(errs, field.Required(rates, "state at least one rate; to turn the limit off, set enabled: false"))
	}
	for i, r := range l.Spec.Rates {
		errs = append(errs, rate(rates.Index(i), r)...)
	}
	return errs
}

// KeyLimitUpdate checks a change. Errors that the old limit had already are not raised again.
func KeyLimitUpdate(old, l *v1alpha1.KeyLimit) field.ErrorList {
	return unseen(KeyLimit(l), KeyLimit(old))
}

func rate(path *field.Path, r v1alpha1.Rate) field.ErrorList {
	errs := requests(path.Child("requests"), r.Requests)
	if r.Per.Duration < minPer || r.Per.Duration > maxPer {
		errs = append(errs, field.Invalid(path.Child("per"), r.Per.Duration.String(), "must be from 1s to 744h"))
	}
	if r.Burst == nil {
		return errs
	}
	errs = append(errs, requests(path.Child("burst"), *r.Burst)...)
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

func requests(path *field.Path, n int64) field.ErrorList {
	if n < 1 || n > limit.MaxRequests {
		return field.ErrorList{field.Invalid(path, n, fmt.Sprintf("must be from 1 to %d", limit.MaxRequests))}
	}
	return nil
}
