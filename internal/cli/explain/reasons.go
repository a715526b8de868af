package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// reasons are why a key does not work as it was asked to, beginning with what nothing else can help against.
func reasons(f Facts, now time.Time) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if f.Key.Spec.State == v1alpha1.KeyRevoked {
		return []string{revoked(f.Key)}
	}
	if f.Key.DeletionTimestamp != nil {
		add("The ApiKey is being deleted, which revokes the key: apply it again once it is gone to get another one.")
	}
	if end := f.Key.Status.ExpiresAt; end != nil && !end.After(now) {
		add("It expired %s. Set a later spec.expiresAt or a longer spec.ttl, within the Workspace's maxTTL, or create another ApiKey.", ago(*end, now))
	}
	if f.Key.Spec.State == v1alpha1.KeyDisabled {
		add("It is disabled: spec.state is Disabled. Set it to Active to let the same key work again.")
	}
	owners(f, add)
	ready(f, add)
	delivery(f, add)
	for _, name := range slices.Sorted(maps.Keys(f.Limits)) {
		if f.Limits[name] == nil {
			add("It refers to KeyLimit %s, which does not exist: create it, or remove it from spec.limitRefs.", name)
		}
	}
	if u := f.Key.Status.Usage; u != nil && u.Exhausted != nil && u.Exhausted.ResetAt.After(now) {
		add("KeyLimit %s is used up (%s): requests are refused until it resets %s.", u.Exhausted.Limit, u.Exhausted.Reason, until(u.Exhausted.ResetAt, now))
	}
	unseen(f.Key, add)
	return all
}

func revoked(key *v1alpha1.ApiKey) string {
	text := "It was revoked"
	r := key.Status.Revocation
	reason := key.Annotations[v1alpha1.AnnotationRevocationReason]
	if r != nil && r.Reason != "" {
		reason = r.Reason
	}
	if reason != "" {
		text += fmt.Sprintf(", for the reason %q", reason)
	}
	switch {
	case r == nil:
	case r.PropagatedAt == nil:
		text += ". Not every verifier has been seen to know it yet"
	case r.RequestedAt != nil:
		text += fmt.Sprintf(". All %d verifiers that there were had heard of it %s after the operator had", r.Verifiers, r.PropagatedAt.Sub(r.RequestedAt.Time).Round(time.Second))
	}
	return text + ". That is final: create another ApiKey, or delete this one and apply it again."
}

func owners(f Facts, add func(string, ...any)) {
	spec := &f.Key.Spec
	switch {
	case f.WorkspaceFound == Missing:
		add("Its Workspace %s does not exist in namespace %s: create it, and the rest follows by itself.", spec.WorkspaceRef.Name, f.Key.Namespace)
	case f.Workspace != nil && f.Workspace.Spec.Suspended:
		add("Its Workspace %s is suspended, which stops all of its keys: unset spec.suspended there.", f.Workspace.Name)
	}
	switch {
	case spec.ServiceAccountRef == nil:
	case f.AccountFound == Missing:
		add("Its ServiceAccount %s (of keys.claviger.dev) does not exist in namespace %s: create it, and the rest follows by itself.", spec.ServiceAccountRef.Name, f.Key.Namespace)
	case f.Account != nil && f.Account.Spec.Suspended:
		add("Its ServiceAccount %s is suspended, which stops all of its keys: unset spec.suspended there.", f.Account.Name)
	}
}

// ready passes on what the operator says, unless it was said already.
func ready(f Facts, add func(string, ...any)) {
	c := apimeta.FindStatusCondition(f.Key.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Status == metav1.ConditionTrue {
		return
	}
	switch {
	case c.Reason == v1alpha1.ReasonWorkspaceNotFound && f.WorkspaceFound == Missing,
		c.Reason == v1alpha1.ReasonServiceAccountNotFound && f.AccountFound == Missing,
		c.Reason == v1alpha1.ReasonKeyLimitNotFound && slices.Contains(slices.Collect(maps.Values(f.Limits)), nil):
		return
	}
	stalled := ""
	if condition(f.Key, v1alpha1.ConditionStalled) {
		stalled = " It stays so until somebody changes something."
	}
	add("The operator says %s: %s%s", c.Reason, sentence(c.Message), stalled)
}

func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

func delivery(f Facts, add func(string, ...any)) {
	key := f.Key
	issued := key.Status.IssuedAt != nil
	switch {
	case !issued || key.Spec.Source != nil:
	case key.Spec.Delivery.Type == v1alpha1.DeliverySealed:
		if key.Status.Sealed == nil {
			add("It is to be sealed, and status.sealed is empty, so that nobody can read it: kubectl claviger regenerate %s -n %s --new-identity makes one and prints it.", key.Name, key.Namespace)
		}
	case f.Secret == Missing:
		add("Its Secret %s is gone. With delivery.onLoss Rotate the operator puts another key there; with Fail, whoever has the key can go on using it.", key.SecretName())
	}
}

func unseen(key *v1alpha1.ApiKey, add func(string, ...any)) {
	switch {
	case key.Status.ObservedGeneration == 0:
		add("The operator has not looked at it yet. If that stays so for more than a few seconds, it is not running: kubectl claviger doctor tells.")
	case stale(key):
		add("The operator has not seen the latest change of its spec (generation %d; it saw %d). If that stays so for more than a few seconds, kubectl claviger doctor tells why.", key.Generation, key.Status.ObservedGeneration)
	}
}
