package validation

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The bounds of a rotation. The CRD's schema states the same.
const (
	minEvery   = time.Minute
	minOverlap = time.Second
)

func rotation(path *field.Path, spec *v1alpha1.ApiKeySpec) (errs field.ErrorList) {
	r := spec.Rotation
	if r == nil {
		return nil
	}
	every := path.Child("every")
	errs = append(errs, atLeast(every, r.Every, minEvery)...)
	errs = append(errs, atLeast(path.Child("overlap"), r.Overlap, minOverlap)...)
	errs = append(errs, atLeast(path.Child("endWhenUnusedFor"), r.EndWhenUnusedFor, minOverlap)...)
	if r.Every != nil && r.Overlap != nil && r.Overlap.Duration >= r.Every.Duration {
		errs = append(errs, field.Invalid(path.Child("overlap"), readable(r.Overlap.Duration),
			"must be shorter than every, which is "+readable(r.Every.Duration)))
	}
	if r.EndWhenUnusedFor != nil && r.Overlap == nil {
		errs = append(errs, field.Required(path.Child("overlap"), "endWhenUnusedFor ends an overlap early: set overlap, too"))
	}
	if r.KeepPrevious {
		errs = append(errs, keepPrevious(path, spec)...)
	}
	if r.Every != nil && spec.TTL != nil && r.Every.Duration >= spec.TTL.Duration {
		errs = append(errs, field.Invalid(every, readable(r.Every.Duration),
			"must be shorter than ttl, which is "+readable(spec.TTL.Duration)+": the key would end before it is rotated"))
	}
	if r.Every != nil && spec.Source != nil {
		errs = append(errs, field.Forbidden(every,
			"a key that is brought along is not made anew by time: remove it, and change spec.source instead"))
	}
	return errs
}

// keepPrevious also says what the schema leaves to be found out: that there must be a Secret to keep the key in.
func keepPrevious(path *field.Path, spec *v1alpha1.ApiKeySpec) (errs field.ErrorList) {
	if spec.Rotation.Overlap == nil {
		errs = append(errs, field.Required(path.Child("overlap"), "keepPrevious holds for the overlap: set overlap, too"))
	}
	if spec.Source != nil || spec.Delivery.Type == v1alpha1.DeliverySealed {
		errs = append(errs, field.Forbidden(path.Child("keepPrevious"),
			"the replaced key is kept in the Secret that the key is delivered to, and here is none: remove it"))
	}
	return errs
}

// rotatedInTime checks that a key that takes its life from the workspace does not end before it is
// rotated.
func rotatedInTime(path *field.Path, spec *v1alpha1.ApiKeySpec, workspace *v1alpha1.Workspace) field.ErrorList {
	if spec.Rotation == nil || spec.Rotation.Every == nil || spec.TTL != nil || spec.ExpiresAt != nil ||
		workspace == nil || workspace.Spec.Keys.DefaultTTL == nil {
		return nil
	}
	every, life := spec.Rotation.Every.Duration, workspace.Spec.Keys.DefaultTTL.Duration
	if every < life {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("rotation", "every"), readable(every), fmt.Sprintf(
		"must be shorter than the defaultTTL of Workspace %q, which is %s: the key would end before it is rotated; set ttl, or rotate sooner",
		workspace.Name, readable(life)))}
}

func atLeast(path *field.Path, d *metav1.Duration, least time.Duration) field.ErrorList {
	if d != nil && d.Duration < least {
		return field.ErrorList{field.Invalid(path, d.Duration.String(), "must be at least "+shortest(least))}
	}
	return nil
}

func shortest(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return readable(d)
}
