package validation

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/scope"
	"github.com/claviger-dev/claviger/internal/token"
)

// The bounds that several kinds share. The CRDs' schemas state the same.
const (
	maxDisplayName = 200
	maxScopes      = 100
	maxLimitRefs   = 16
	minTTL         = time.Second
	maxDuration    = 32 // characters
)

// The times that can be stated. What lies beyond them cannot be written as RFC 3339 does, or
// is taken for none.
var (
	firstTime = time.Unix(0, 0)
	endOfTime = time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)
)

func stated(path *field.Path, at *metav1.Time) field.ErrorList {
	if at == nil || !at.Time.Before(firstTime) && at.Time.Before(endOfTime) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, at.String(), "must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z")}
}

// reference checks that an object of that name can exist: waiting for one that cannot
// would never end.
func reference(path *field.Path, ref v1alpha1.LocalReference) field.ErrorList {
	if ref.Name == "" {
		return field.ErrorList{field.Required(path.Child("name"), "name the object that is meant")}
	}
	return objectName(path.Child("name"), ref.Name)
}

func objectName(path *field.Path, name string) (errs field.ErrorList) {
	for _, fault := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(path, name, fault))
	}
	return errs
}

func limitRefs(path *field.Path, refs []v1alpha1.LocalReference) field.ErrorList {
	errs := atMost(path, len(refs), maxLimitRefs)
	seen := map[string]bool{}
	for i, ref := range refs {
		errs = append(errs, reference(path.Index(i), ref)...)
		if seen[ref.Name] {
			errs = append(errs, field.Duplicate(path.Index(i), ref.Name))
		}
		seen[ref.Name] = true
	}
	return errs
}

func scopeList(path *field.Path, scopes []v1alpha1.Scope, most int) field.ErrorList {
	errs := atMost(path, len(scopes), most)
	errs = append(errs, noDuplicates(path, scopes)...)
	for i, s := range scopes {
		errs = append(errs, wellFormed(path.Index(i), s)...)
	}
	return errs
}

func wellFormed(path *field.Path, s v1alpha1.Scope) field.ErrorList {
	if err := scope.Validate(string(s)); err != nil {
		return field.ErrorList{field.Invalid(path, string(s), err.Error()+
			": write path.of.words:verb, such as workspace.collection:create, or a bare word, such as read")}
	}
	return nil
}

// displayName refuses control characters, because the name is shown in terminals and put into
// headers.
func displayName(path *field.Path, name string) field.ErrorList {
	errs := noLonger(path, name, maxDisplayName)
	if strings.ContainsFunc(name, unicode.IsControl) {
		errs = append(errs, field.Invalid(path, name, "must be one line, without control characters"))
	}
	return errs
}

func prefix(path *field.Path, p string) field.ErrorList {
	lowerOrDigit := func(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
	switch {
	case p == "":
		return nil
	case len(p) > token.MaxPrefixLength,
		'0' <= p[0] && p[0] <= '9',
		strings.ContainsFunc(p, func(r rune) bool { return !lowerOrDigit(r) }):
		return field.ErrorList{field.Invalid(path, p, fmt.Sprintf(
			"must be a small letter and up to %d more small letters or digits, such as ak", token.MaxPrefixLength-1))}
	}
	return nil
}

// network is stricter than the schema's isCIDR and follows the strict rules of KEP-4858.
// Bits beyond the mask leave it open whether the one address or the network is meant, and these
// may be millions of addresses apart. IPv4 written as IPv6 would match nothing, because a caller's
// address is always compared in its own family.
func network(path *field.Path, cidr v1alpha1.CIDR) field.ErrorList {
	invalid := func(detail string) field.ErrorList {
		return field.ErrorList{field.Invalid(path, string(cidr), detail)}
	}
	prefix, err := netip.ParsePrefix(string(cidr))
	switch {
	case err != nil:
		return invalid("must be a network such as 10.0.0.0/8 or 2001:db8::/32; for one address write its full length, such as 192.0.2.1/32")
	case prefix.Addr().Is4In6():
		return invalid("must not be IPv4 written as IPv6: write the IPv4 network, such as 10.0.0.0/8")
	case prefix != prefix.Masked():
		return invalid(fmt.Sprintf("has bits beyond its mask: write %s for the network or %s for the one address",
			prefix.Masked(), netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen())))
	}
	return nil
}

func ttl(path *field.Path, d *metav1.Duration) field.ErrorList {
	return atLeast(path, d, minTTL)
}

func oneOf[T ~string](path *field.Path, value T, allowed ...T) field.ErrorList {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

func atMost(path *field.Path, count, most int) field.ErrorList {
	if count > most {
		return field.ErrorList{field.TooMany(path, count, most)}
	}
	return nil
}

// noLonger counts characters, as the schema's maxLength does.
func noLonger(path *field.Path, text string, most int) field.ErrorList {
	if utf8.RuneCountInString(text) > most {
		return field.ErrorList{field.TooLongCharacters(path, text, most)}
	}
	return nil
}

func noDuplicates[T ~string](path *field.Path, list []T) (errs field.ErrorList) {
	seen := make(map[T]bool, len(list))
	for i, item := range list {
		if seen[item] {
			errs = append(errs, field.Duplicate(path.Index(i), string(item)))
		}
		seen[item] = true
	}
	return errs
}

// readable writes a duration without the zeros that Go appends: 720h, not 720h0m0s.
func readable(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
