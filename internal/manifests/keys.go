package manifests

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/validation"
)

// takeUp joins an ApiKey with its key material. The workspace is nil where it is missing, which is
// told elsewhere.
func (l *loader) takeUp(name types.NamespacedName, key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) {
	l.warnOfOperator(name, key)
	if key.Spec.Source != nil {
		l.takeUpSource(name, key)
	} else {
		l.takeUpDelivered(name, key)
	}
	all := l.material[name]
	if len(all) == 0 && key.Spec.Source == nil && key.Spec.State != v1alpha1.KeyRevoked {
		l.warn(l.origins["ApiKey "+name.String()], "%s", missingKey(key))
	}
	for _, m := range all {
		if errs := l.checkMaterial(m, key, workspace); len(errs) > 0 {
			l.mistakes.add(m.from.mistakes(errs)...)
			continue
		}
		end := m.notAfter
		if end == nil {
			end = validation.ApprovedEnd(key, workspace, m.issuedAt)
		}
		issuedAt := m.issuedAt
		if issuedAt.IsZero() {
			issuedAt = time.Unix(0, 0).UTC() // nothing counts from it
		}
		c := credential.Credential{
			Hash: m.hash, ApiKeyUID: key.UID, ApiKey: name, Generation: m.generation,
			Hint: m.hint, IssuedAt: issuedAt, NotAfter: end, Foreign: m.foreign,
		}
		if over := c.End(&key.Spec); !over.IsZero() {
			key.Status.ExpiresAt = &metav1.Time{Time: over} // by which it is counted
		}
		l.state.credentials[credentialID{key.UID, m.generation}] = c
		l.hashes[m.hash] = m
	}
}

func (l *loader) takeUpDelivered(name types.NamespacedName, key *v1alpha1.ApiKey) {
	secret := l.secrets[types.NamespacedName{Namespace: name.Namespace, Name: key.SecretName()}]
	if secret == nil {
		return
	}
	m, errs := secret.delivered()
	if len(errs) > 0 {
		l.mistakes.add(secret.mistakes(errs)...)
		return
	}
	l.material[name] = append(l.material[name], m)
}

func (l *loader) checkMaterial(m *material, key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) (errs field.ErrorList) {
	meta := field.NewPath("metadata")
	if other := l.hashes[m.hash]; other != nil {
		errs = append(errs, field.Forbidden(meta, "holds the same key as "+other.from.place()+": each ApiKey has a key of its own"))
	}
	if _, taken := l.state.credentials[credentialID{key.UID, m.generation}]; taken {
		errs = append(errs, field.Forbidden(meta, fmt.Sprintf("ApiKey %s has another key of generation %d: remove one, or tell them apart with the annotation %s",
			key.Name, m.generation, v1alpha1.AnnotationGeneration)))
	}
	if err := m.ownedBy(key); err != nil {
		errs = append(errs, field.Forbidden(meta.Child("labels").Key(v1alpha1.LabelApiKeyUID), err.Error()))
	}
	if !m.isOf(key.Spec.Environment) {
		errs = append(errs, field.Forbidden(meta, fmt.Sprintf("the key is not one of the environment %s, which ApiKey %s states", key.Spec.Environment, key.Name)))
	}
	if m.issuedAt.IsZero() && key.Spec.State != v1alpha1.KeyRevoked && livesFromIssue(key, workspace) {
		path, text := m.from.dataPath(dataIssuedAt), "ApiKey %s may live for a time from when its key was issued: say when, such as 2027-01-31T12:00:00Z"
		if m.brought {
			path, text = meta.Child("creationTimestamp"), "ApiKey %s may live for a time from when it was created: say when, such as 2027-01-31T12:00:00Z"
		}
		errs = append(errs, field.Required(path, fmt.Sprintf(text, key.Name)))
	}
	return errs
}

// isOf says whether the key begins as those of an environment do. That of a bare hash is not known.
func (m *material) isOf(environment v1alpha1.Environment) bool {
	head, _, known := strings.Cut(m.hint, "…")
	return !known || strings.HasSuffix(head, "_"+string(environment)+"_")
}

// livesFromIssue says whether the end of a key depends on when it was issued. It would never come
// if that were taken to be the start of the process.
func livesFromIssue(key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) bool {
	if key.Spec.TTL != nil {
		return true
	}
	return workspace != nil && (workspace.Spec.Keys.MaxTTL != nil || workspace.Spec.Keys.DefaultTTL != nil && key.Spec.ExpiresAt == nil)
}

// issuedAt is that of the newest key of an ApiKey; zero: not told.
func (l *loader) issuedAt(name types.NamespacedName) (newest time.Time) {
	for _, m := range l.material[name] {
		if m.issuedAt.After(newest) {
			newest = m.issuedAt
		}
	}
	return newest
}
