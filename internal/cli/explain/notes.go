package explain

import (
	"fmt"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// soon is what will happen, the nearest in effect first.
func soon(f Facts, now time.Time) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	key := f.Key
	if key.Spec.State == v1alpha1.KeyRevoked {
		return nil
	}
	if c := apimeta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionPreviousKeyInUse); condition(key, v1alpha1.ConditionPreviousKeyInUse) {
		add("Somebody still uses the replaced key. %s", sentence(c.Message))
	}
	if r := key.Status.Rotation; r != nil {
		if p := r.Previous; p != nil && p.EndsAt != nil && p.EndsAt.After(now) {
			add("The replaced key %s works still; it ends %s.", p.Hint, until(*p.EndsAt, now))
		}
		if r.NextAt != nil && r.NextAt.After(now) {
			add("It is rotated %s.", until(*r.NextAt, now))
		}
	}
	if end := key.Status.ExpiresAt; end != nil && end.After(now) {
		near := ""
		if condition(key, v1alpha1.ConditionNearExpiry) {
			near = " That is near: set a later end, or have another key ready."
		}
		add("It expires %s.%s", until(*end, now), near)
	}
	if condition(key, v1alpha1.ConditionUnused) {
		add("Nobody has used it for as long as its Workspace allows: revoke it if nobody needs it.")
	}
	return all
}

// notes are how a key is.
func notes(f Facts, now time.Time) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	key := f.Key
	if key.Status.IssuedAt != nil {
		generation := ""
		if key.Status.KeyGeneration > 1 {
			generation = fmt.Sprintf(", the %d. that this ApiKey has had", key.Status.KeyGeneration)
		}
		add("The key is %s, issued %s%s.", key.Status.Hint, ago(*key.Status.IssuedAt, now), generation)
	}
	if key.Status.IssuedAt != nil && key.Status.ExpiresAt == nil && key.Spec.State != v1alpha1.KeyRevoked {
		add("It never expires.")
	}
	if key.Status.Legacy {
		add("It was brought along, and is not of Claviger's format.")
	}
	whereabouts(f, add)
	add("%s", may(key))
	if len(key.Spec.AllowedCIDRs) > 0 {
		add("It may be used only from %s.", join(key.Spec.AllowedCIDRs))
	}
	if by := key.Annotations[v1alpha1.AnnotationCreatedBy]; by != "" {
		add("%s created it.", by)
	}
	usage(key, now, add)
	return all
}

func whereabouts(f Facts, add func(string, ...any)) {
	key := f.Key
	switch {
	case key.Spec.Source != nil && key.Spec.Source.SecretRef != nil:
		add("It is brought along from Secret %s, and delivered nowhere.", key.Spec.Source.SecretRef.Name)
	case key.Spec.Source != nil:
		add("It is brought along by its hash: only those who have the key know it.")
	case key.Status.Sealed != nil:
		add("It is sealed to %s in status.sealed: kubectl get apikey %s -n %s -o jsonpath='{.status.sealed.ciphertext}' | age --decrypt --identity FILE",
			count(len(key.Status.Sealed.Recipients), "recipient"), key.Name, key.Namespace)
	case f.Secret == Present:
		add("It is in Secret %s, under the data key %s.", key.SecretName(), v1alpha1.DataKeyApiKey)
	case key.Status.SecretName != "":
		add("Its status says that it is in Secret %s.", key.Status.SecretName)
	}
}

func may(key *v1alpha1.ApiKey) string {
	text := "It has no scopes of its own"
	if len(key.Spec.Scopes) > 0 {
		text = "It may " + join(key.Spec.Scopes)
	}
	if n := len(key.Spec.Grants); n > 0 {
		text += ", and has " + count(n, "grant") + " for single resources"
	}
	if key.Spec.ServiceAccountRef != nil {
		text += ", within what ServiceAccount " + key.Spec.ServiceAccountRef.Name + " may"
	}
	return text + "."
}

func usage(key *v1alpha1.ApiKey, now time.Time, add func(string, ...any)) {
	u := key.Status.Usage
	if u == nil || u.LastUsedAt == nil {
		if key.Status.IssuedAt != nil {
			add("As far as the operator has heard, nobody has used it yet.")
		}
		return
	}
	add("It was last used %s; in this billing period %d of its requests were allowed and %d denied.", ago(*u.LastUsedAt, now), u.Period.Requests, u.Period.Denied)
	if u.Remaining != nil {
		add("Its tightest limit had %s left when it was last used.", count(int(*u.Remaining), "request"))
	}
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}
