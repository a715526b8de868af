package apikey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey/issuance"
	"github.com/claviger-dev/claviger/internal/token"
)

// conflictRetry is when to look again at a Secret of somebody else. That has none of our
// labels, so nothing tells when it goes.
const conflictRetry = 30 * time.Second

// issue sees to it that there is exactly one key. Caches tell at most that nothing is to be
// done; before anything is written or complained about, the API server is asked.
func (r *Reconciler) issue(ctx context.Context, s *scope) error {
	if err := r.observeCached(ctx, s); err != nil {
		return err
	}
	s.decide()
	if !s.plan.Settled() && !s.isKnownRival() {
		refusal, err := r.refusal(ctx, s)
		if err != nil {
			return err
		}
		if refusal == nil || !s.settling().Settled() {
			err = r.issueLive(ctx, s)
		}
		if errors.Is(err, errGone) {
			s.done = true // the event of that is on its way
			return nil
		}
		if err != nil || s.done {
			return err
		}
	}
	if s.material.current() != nil {
		r.memory.markIssued(s.key)
	}
	if s.plan.Wait {
		s.lookAgain(lookForVerifiers)
	}
	return nil
}

// isKnownRival says, and notes, that another ApiKey has the same key and nothing is left to be done about it.
func (s *scope) isKnownRival() bool {
	if s.plan.Problem != v1alpha1.ReasonDuplicateKey || len(s.plan.Delete) > 0 {
		return false
	}
	s.fail(s.materialProblem())
	return true
}

// maxSteps is more than any key needs: adopted, staged, hashed, promoted, and what it replaced
// retired and unstaged.
const maxSteps = 8

// issueLive decides anew on what the API server says, and carries that out, step after step.
func (r *Reconciler) issueLive(ctx context.Context, s *scope) error {
	if err := r.observeLive(ctx, s); err != nil {
		return err
	}
	// The spec may be newer than it was, and ask for something else.
	if err := r.findReferences(ctx, s); err != nil {
		return err
	}
	for range maxSteps {
		s.decide()
		refusal, err := r.refusal(ctx, s)
		if err != nil {
			return err
		}
		if refusal != nil {
			return r.settle(ctx, s)
		}
		problem := s.plan.Problem != ""
		if problem {
			s.fail(s.materialProblem())
		}
		if s.plan.Settled() || problem && len(s.plan.Delete) == 0 {
			return nil
		}
		err = r.carryOut(ctx, s)
		switch {
		case errors.Is(err, errRewritten):
			s.decide() // and find in the way what was made of the Secret
			s.fail(s.materialProblem())
			return nil
		case err != nil:
			if err := s.refused(err); err != nil {
				return err
			}
			return r.settle(ctx, s)
		case problem:
			return nil
		}
		s.noticeLoss(ctx)
	}
	return nil
}

// settling is what becomes of the keys that were replaced, whatever is in the way of another one: an overlap that
// was shortened because a key leaked must not wait for that.
func (s *scope) settling() issuance.Plan {
	return s.observation().Settling()
}

func (r *Reconciler) settle(ctx context.Context, s *scope) error {
	if s.plan = s.settling(); s.plan.Settled() {
		return nil
	}
	if err := r.carryOut(ctx, s); err != nil {
		return s.refused(err)
	}
	return nil
}

// noticeLoss tells that a key was replaced because it was lost.
func (s *scope) noticeLoss(ctx context.Context) {
	if !s.plan.Lost || s.plan.Hash == 0 {
		return
	}
	text := fmt.Sprintf("Secret %q was gone, so another key was issued into a new one; the lost key stopped working", s.key.SecretName())
	if s.isSealed() {
		text = "The hash of the sealed key was gone, so another key was sealed; the lost key stopped working"
	}
	s.notices = append(s.notices, notice{true, v1alpha1.ReasonSecretLost, "ReplaceKey", text})
	log.FromContext(ctx).Info("Replaced a key that was lost", "generation", s.plan.Hash)
}

// decide asks what comes next, by the way that the key reaches its users.
func (s *scope) decide() {
	o := s.observation()
	switch {
	case s.key.Spec.Source != nil:
		var key *token.Hash
		b := s.material.brought
		if b != nil {
			key = &b.hash
		}
		s.plan = issuance.DecideBrought(o, key, b != nil && b.rival)
	case s.isSealed():
		s.plan = issuance.DecideSealed(o, s.key.Status.IssuedAt != nil)
	default:
		s.plan = issuance.Decide(o)
	}
}

// refusal notes and returns what speaks against a plan that would make a key work.
func (r *Reconciler) refusal(ctx context.Context, s *scope) (*problem, error) {
	if s.material.unreadable != "" {
		p := &problem{reason: v1alpha1.ReasonSecretAltered, stalled: true, message: fmt.Sprintf(
			"Secret %s/%s is not as Claviger wrote it: delete it to have it written again", r.Namespace, s.material.unreadable)}
		s.fail(p)
		return p, nil
	}
	if s.plan.Stage != 0 && s.material.stageTaken {
		p := &problem{reason: v1alpha1.ReasonSecretConflict, stalled: true, retryAfter: conflictRetry, message: fmt.Sprintf(
			"The next key cannot be made: Secret %q, which it is to wait in until it is delivered, exists and is not Claviger's own: delete it", stagedAt(s.key).Name)}
		s.fail(p)
		return p, nil
	}
	if !s.plan.Issues() {
		return nil, nil
	}
	p, err := r.mayIssue(ctx, s)
	if p != nil {
		s.fail(p)
	}
	return p, err
}

// materialProblem tells a person what is in the way of the plan.
func (s *scope) materialProblem() *problem {
	name := s.key.SecretName()
	p := &problem{reason: s.plan.Problem, stalled: true}
	switch s.plan.Problem {
	case v1alpha1.ReasonSecretConflict:
		p.message = fmt.Sprintf("Secret %q exists and is not this ApiKey's own, so it is left alone: remove it, or create another ApiKey with another delivery.secretName", name)
		p.retryAfter = conflictRetry
		if s.material.delivered.meta.Annotations[annotationRevoked] != "" {
			p.message = fmt.Sprintf("Secret %q holds a key that was revoked, which is final, so it is not adopted: delete it, and another key is issued", name)
		}
		if s.isLeftover() {
			p.message = fmt.Sprintf("Secret %q belongs to a deleted ApiKey of the same name: waiting until it is deleted, too", name)
			p.stalled, p.quiet = false, true
		}
	case v1alpha1.ReasonSecretLost:
		if s.isSealed() {
			p.message = "The hash of the sealed key was deleted, and delivery.onLoss is Fail: the key does not work any more; set onLoss to Rotate to have another one sealed"
			break
		}
		p.message = fmt.Sprintf("Secret %q was deleted, and delivery.onLoss is Fail: the key goes on working for whoever has it; set onLoss to Rotate to have another one issued", name)
	case v1alpha1.ReasonDuplicateKey:
		p.message = "Another ApiKey brought the same key along before, and goes on having it: revoke or delete that one, or take another key"
		p.retryAfter = rivalRetry
	case v1alpha1.ReasonSecretAltered:
		p.message = fmt.Sprintf("Secret %q does not hold the key that was delivered; somebody changed it, or an admission webhook did: delete it to have a new key issued", name)
		if s.plan.Lost {
			p.message = fmt.Sprintf("Secret %q is gone, and its generation was one that Claviger never comes to, so no other can follow: create another ApiKey", name)
		}
	}
	return p
}

// isLeftover says whether what is in the way is about to be collected: the Secret of an ApiKey
// of this name that was deleted.
func (s *scope) isLeftover() bool {
	for _, owner := range s.material.delivered.meta.OwnerReferences {
		if owner.Kind == apiKeyKind.Kind && owner.Name == s.key.Name && owner.UID != s.key.UID {
			return true
		}
	}
	return false
}
