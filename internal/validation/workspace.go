package validation

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The bounds of a Workspace. The CRD's schema states the same, but for the sum of
// implications.
const (
	maxCatalogue   = 500
	maxDescription = 1024
	maxImplies     = 100
	// Each key's scopes are expanded by the whole catalogue, wherever they are served.
	maxAllImplies  = 2000
	maxDepartments = 500
	maxEntities    = 1000
	maxWarnings    = 8
	minRetention   = time.Hour
	maxRetention   = 397 * 24 * time.Hour
)

// Workspace checks a workspace.
func Workspace(workspace *v1alpha1.Workspace) field.ErrorList {
	path, spec := field.NewPath("spec"), &workspace.Spec
	errs := displayName(path.Child("displayName"), spec.DisplayName)
	errs = append(errs, scopeCatalogue(path.Child("scopes"), spec.Scopes)...)
	errs = append(errs, keyPolicy(path.Child("keys"), &spec.Keys)...)
	errs = append(errs, oneOf(path.Child("deletionPolicy"), spec.DeletionPolicy, v1alpha1.WorkspaceRefuse, v1alpha1.WorkspaceCascade)...)
	errs = append(errs, limitRefs(path.Child("limitRefs"), spec.LimitRefs)...)
	errs = append(errs, departments(path.Child("departments"), spec.Departments)...)
	errs = append(errs, entities(path.Child("entities"), spec.Entities)...)
	if b := spec.Billing; b != nil {
		errs = append(errs, calendar(path.Child("billing"), b.ResetPeriod, b.AnchorDay, b.TimeZone)...)
	}
	if spec.Usage != nil && spec.Usage.RequestLog != nil {
		errs = append(errs, requestLog(path.Child("usage", "requestLog"), spec.Usage.RequestLog)...)
	}
	return errs
}

func requestLog(path *field.Path, log *v1alpha1.RequestLog) (errs field.ErrorList) {
	if keep := log.Retention.Duration; keep < minRetention || keep > maxRetention {
		errs = append(errs, field.Invalid(path.Child("retention"), readable(keep),
			"must be from 1h to "+readable(maxRetention)+": to keep no log, leave requestLog out"))
	}
	if log.SamplePercent != nil {
		errs = append(errs, within(path.Child("samplePercent"), int64(*log.SamplePercent), 100)...)
	}
	return errs
}

func departments(path *field.Path, list []v1alpha1.DepartmentLimits) field.ErrorList {
	errs := atMost(path, len(list), maxDepartments)
	names := make([]v1alpha1.EntityID, 0, len(list))
	for i, d := range list {
		at := path.Index(i)
		errs = append(errs, entityID(at.Child("name"), d.Name)...)
		errs = append(errs, someLimitRefs(at.Child("limitRefs"), d.LimitRefs)...)
		names = append(names, d.Name)
	}
	return append(errs, noDuplicates(path, names)...)
}

func someLimitRefs(path *field.Path, refs []v1alpha1.LocalReference) field.ErrorList {
	if len(refs) == 0 {
		return field.ErrorList{field.Required(path, "name the KeyLimits that hold here, or leave the entry out")}
	}
	return limitRefs(path, refs)
}

func entities(path *field.Path, list []v1alpha1.EntityLimits) field.ErrorList {
	errs := atMost(path, len(list), maxEntities)
	names := make([]string, 0, len(list))
	for i, e := range list {
		at := path.Index(i)
		errs = append(errs, entityKind(at.Child("kind"), e.Kind)...)
		errs = append(errs, entityID(at.Child("id"), e.ID)...)
		errs = append(errs, someLimitRefs(at.Child("limitRefs"), e.LimitRefs)...)
		names = append(names, e.Kind+" "+string(e.ID))
	}
	return append(errs, noDuplicates(path, names)...)
}

// WorkspaceUpdate checks a change. Errors that the old workspace had already are not raised
// again. Narrowing the catalogue or the policy is never refused for the sake of keys that exist.
func WorkspaceUpdate(old, workspace *v1alpha1.Workspace) field.ErrorList {
	return unseen(Workspace(workspace), Workspace(old))
}

// scopeCatalogue lets implications run in a circle: what they make is scopes that always
// come together, which is clear and does no harm.
func scopeCatalogue(path *field.Path, definitions []v1alpha1.ScopeDefinition) field.ErrorList {
	errs := atMost(path, len(definitions), maxCatalogue)
	names := make([]v1alpha1.Scope, 0, len(definitions))
	implied := 0
	for i, d := range definitions {
		at := path.Index(i)
		names = append(names, d.Name)
		implied += len(d.Implies)
		errs = append(errs, wellFormed(at.Child("name"), d.Name)...)
		if strings.Contains(string(d.Name), "*") {
			errs = append(errs, field.Invalid(at.Child("name"), string(d.Name), "a catalogue entry names one scope and has no wildcards"))
		}
		errs = append(errs, noLonger(at.Child("description"), d.Description, maxDescription)...)
		errs = append(errs, atMost(at.Child("implies"), len(d.Implies), maxImplies)...)
		errs = append(errs, noDuplicates(at.Child("implies"), d.Implies)...)
		for j, s := range d.Implies {
			errs = append(errs, wellFormed(at.Child("implies").Index(j), s)...)
		}
	}
	errs = append(errs, noDuplicates(path, names)...)
	if implied > maxAllImplies {
		errs = append(errs, field.TooMany(path.Child("implies"), implied, maxAllImplies))
	}
	return errs
}

func keyPolicy(path *field.Path, keys *v1alpha1.KeyPolicy) field.ErrorList {
	errs := prefix(path.Child("prefix"), keys.Prefix)
	errs = append(errs, ttl(path.Child("defaultTTL"), keys.DefaultTTL)...)
	errs = append(errs, ttl(path.Child("maxTTL"), keys.MaxTTL)...)
	if keys.DefaultTTL != nil && keys.MaxTTL != nil && keys.DefaultTTL.Duration > keys.MaxTTL.Duration {
		errs = append(errs, field.Invalid(path.Child("defaultTTL"), readable(keys.DefaultTTL.Duration),
			"must not be longer than maxTTL, which is "+readable(keys.MaxTTL.Duration)))
	}
	if keys.MaxKeys != nil && *keys.MaxKeys < 1 {
		errs = append(errs, field.Invalid(path.Child("maxKeys"), *keys.MaxKeys,
			"must be at least 1: to stop all keys, set spec.suspended"))
	}
	errs = append(errs, ways(path.Child("allowedDelivery"), keys.AllowedDelivery)...)
	errs = append(errs, oneOf(path.Child("delegation"), keys.Delegation, v1alpha1.DelegationNone, v1alpha1.DelegationRequired)...)
	errs = append(errs, warningTimes(path.Child("expiryWarnings"), keys.ExpiryWarnings)...)
	errs = append(errs, ttl(path.Child("unusedAfter"), keys.UnusedAfter)...)
	return append(errs, ttl(path.Child("retainExpired"), keys.RetainExpired)...)
}

func ways(path *field.Path, list []v1alpha1.AllowedDelivery) field.ErrorList {
	all := []v1alpha1.AllowedDelivery{v1alpha1.AllowSecret, v1alpha1.AllowSealed, v1alpha1.AllowSource}
	errs := atMost(path, len(list), len(all))
	errs = append(errs, noDuplicates(path, list)...)
	for i, way := range list {
		if !slices.Contains(all, way) {
			errs = append(errs, field.NotSupported(path.Index(i), way, all))
		}
	}
	return errs
}

// spelt is how the schemas have durations written; Go reads more than that.
var spelt = regexp.MustCompile(`^([0-9]+([.][0-9]+)?(ms|s|m|h))+$`)

func warningTimes(path *field.Path, list []v1alpha1.WarningTime) field.ErrorList {
	errs := atMost(path, len(list), maxWarnings)
	for i, text := range list {
		d, err := time.ParseDuration(string(text))
		if err != nil || d < minTTL || !spelt.MatchString(string(text)) || len(text) > maxDuration {
			errs = append(errs, field.Invalid(path.Index(i), string(text),
				"must be at least 1s, in hours, minutes and seconds: 336h is 14 days"))
		}
	}
	return errs
}
