package apikey

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/validation"
)

// annotationApproved, on a hashed Secret, is what the spec said about the key's end when
// that end was approved. While it says the same, a changed policy of the workspace changes
// nothing for the key (docs/decisions/0004), though the status be lost.
const annotationApproved = "keys.claviger.dev/approved"

// requestedEnd is what a spec says about the key's end.
func requestedEnd(spec *v1alpha1.ApiKeySpec) string {
	switch {
	case spec.ExpiresAt != nil:
		return "expiresAt=" + spec.ExpiresAt.UTC().Format(time.RFC3339)
	case spec.TTL != nil:
		return "ttl=" + spec.TTL.Duration.String()
	}
	return "default"
}

// approve lets a changed spec take effect as far as the rules allow. A key that is over
// after that holds no place, whatever was claimed for it.
func (r *Reconciler) approve(ctx context.Context, s *scope) error {
	if err := r.approveChange(ctx, s); err != nil {
		return err
	}
	if c := s.issued(); c != nil && expired(s.key, c, s.now) {
		r.memory.giveBack(s.key)
	}
	return nil
}

// approveChange checks what changed in the spec of an issued key and, if it keeps to the rules,
// writes the end of the key that follows from it. Until then the old end holds, and
// a nearer one at once: the verifier sees to that.
func (r *Reconciler) approveChange(ctx context.Context, s *scope) error {
	current := s.material.current()
	if s.problem != nil || current == nil || s.key.Spec.State == v1alpha1.KeyRevoked {
		return nil
	}
	if s.references.missing != nil {
		s.fail(s.references.missing)
		return nil
	}
	changed := current.secret.Annotations[annotationApproved] != requestedEnd(&s.key.Spec)
	if !changed && !s.specUnchecked() {
		return nil
	}
	if p, err := r.mayChange(ctx, s, &current.credential, changed); err != nil || p != nil {
		s.fail(p)
		return err
	}
	if !changed {
		return nil
	}
	end := seconds(validation.ApprovedEnd(s.key, s.references.workspace, current.credential.IssuedAt))
	if err := r.setEnd(ctx, s, current, end, requestedEnd(&s.key.Spec)); err != nil {
		return s.refused(err)
	}
	return nil
}

// specUnchecked says that the spec changed since the rules were last asked, or that they were
// against it. A status that was lost says neither: the key was checked when it was issued.
func (s *scope) specUnchecked() bool {
	status := &s.key.Status
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	return status.ObservedGeneration != 0 && status.ObservedGeneration != s.key.Generation ||
		ready != nil && (ready.Reason == v1alpha1.ReasonInvalidSpec || ready.Reason == v1alpha1.ReasonTooManyKeys)
}

// mayChange says what speaks against the spec of an issued key; nil: nothing. A key that had
// expired and is to live again needs a place like a new one.
func (r *Reconciler) mayChange(ctx context.Context, s *scope, c *credential.Credential, endChanged bool) (*problem, error) {
	refs := s.validated(c.IssuedAt)
	if p := invalid(validation.ApiKey(s.key, refs, s.now)); p != nil {
		return p, nil
	}
	if endChanged && c.NotAfter != nil && !s.now.Before(*c.NotAfter) {
		return r.claimPlace(ctx, s, refs)
	}
	return nil, nil
}
