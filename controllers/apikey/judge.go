package apikey

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey/issuance"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/validation"
)

// waitingForPlace is when to ask again for a place, in case that nothing told that one got free.
const waitingForPlace = 2 * time.Minute

// mayIssue says what speaks against issuing a key now; nil: nothing. It asks all that the
// webhook asks: that may have been bypassed. A key that was delivered already counts from then, so that
// hashing it again does not lengthen its life. A key that replaces a lost one keeps its place.
func (r *Reconciler) mayIssue(ctx context.Context, s *scope) (*problem, error) {
	if s.references.missing != nil {
		return s.references.missing, nil
	}
	refs := s.validated(s.issuingAt())
	if p := invalid(validation.ApiKey(s.key, refs, s.now)); p != nil {
		return p, nil
	}
	if issued := s.issued(); issued != nil && !expired(s.key, issued, s.now) {
		return nil, nil
	}
	return r.claimPlace(ctx, s, refs)
}

// issuingAt is when the key that is about to work counts as issued; zero: it is yet to be made.
func (s *scope) issuingAt() time.Time {
	switch {
	case s.plan.Deliver != 0, s.plan.Stage != 0, s.plan.From == issuance.Sealed:
		return time.Time{}
	case s.plan.From == issuance.Source:
		return s.broughtAt(s.now)
	case s.plan.From == issuance.Staged:
		return s.material.staged.issuedAt(s.now)
	}
	return s.material.delivered.issuedAt(s.now)
}

// validated is what the rules must know, with the time at which the key was issued; zero: it
// is yet to be.
func (s *scope) validated(issuedAt time.Time) validation.References {
	return validation.References{Workspace: s.references.workspace, ServiceAccount: s.references.account, IssuedAt: issuedAt}
}

func invalid(errs field.ErrorList) *problem {
	if len(errs) == 0 {
		return nil
	}
	return &problem{reason: v1alpha1.ReasonInvalidSpec, message: errs.ToAggregate().Error(), stalled: true}
}

// claimPlace takes one of the places that the workspace, the account and the user have for keys. Two
// keys that are issued at the same moment must not take the same place, and a cache would show
// neither to the other: what is taken is remembered here.
func (r *Reconciler) claimPlace(ctx context.Context, s *scope, refs validation.References) (*problem, error) {
	var inWorkspace, ofAccount, ofUser v1alpha1.ApiKeyList
	if refs.Workspace.Spec.Keys.MaxKeys != nil {
		if err := r.siblings(ctx, s, &inWorkspace, fieldindex.ApiKeyWorkspace, refs.Workspace.Name); err != nil {
			return nil, err
		}
	}
	if refs.ServiceAccount != nil {
		if err := r.siblings(ctx, s, &ofAccount, fieldindex.ApiKeyServiceAccount, refs.ServiceAccount.Name); err != nil {
			return nil, err
		}
	}
	if entity := s.key.Spec.Entity; entity != nil && entity.Kind == v1alpha1.EntityUser {
		if err := r.siblings(ctx, s, &ofUser, fieldindex.ApiKeyUser, string(entity.ID)); err != nil {
			return nil, err
		}
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	refs.KeysOfUser = r.memory.ahead(s.key, inSameWorkspace(s.key, ofUser.Items), s.now)
	refs.KeysInWorkspace = r.memory.ahead(s.key, inWorkspace.Items, s.now)
	refs.KeysOfAccount = r.memory.ahead(s.key, ofAccount.Items, s.now)
	if errs := validation.TooManyKeys(s.key, refs, s.now); len(errs) > 0 {
		return &problem{reason: v1alpha1.ReasonTooManyKeys, message: errs.ToAggregate().Error(), retryAfter: waitingForPlace}, nil
	}
	r.memory.take(s.key, s.now)
	return nil, nil
}

// inSameWorkspace are those of the keys that are of the workspace of one: a user may have a token in each.
func inSameWorkspace(key *v1alpha1.ApiKey, others []v1alpha1.ApiKey) []v1alpha1.ApiKey {
	var same []v1alpha1.ApiKey
	for i := range others {
		if others[i].Spec.WorkspaceRef == key.Spec.WorkspaceRef {
			same = append(same, others[i])
		}
	}
	return same
}

// siblings are only looked at, and may be many: they are not copied.
func (r *Reconciler) siblings(ctx context.Context, s *scope, list *v1alpha1.ApiKeyList, index, value string) error {
	return r.Cached.List(ctx, list, client.InNamespace(s.key.Namespace), client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy)
}

// ahead counts the keys whose claim to a place comes before: those that have one, then the
// older ones. The lock must be held.
func (m *memory) ahead(key *v1alpha1.ApiKey, siblings []v1alpha1.ApiKey, now time.Time) int {
	count, has := 0, m.hasPlace(key, now)
	for i := range siblings {
		other := &siblings[i]
		if other.UID == key.UID || !m.counts(other, now) {
			continue
		}
		if otherHas := m.hasPlace(other, now); otherHas && !has || otherHas == has && older(other, key) {
			count++
		}
	}
	return count
}

// hasPlace says whether a key has a place already: it is issued, and has not ended. One that
// has ended lost its place to whoever came, so it claims one like a new key. The lock must be held.
func (m *memory) hasPlace(key *v1alpha1.ApiKey, now time.Time) bool {
	return m.isIssued(key) && m.counts(key, now)
}

// counts says whether a key takes a place or asks for one. A key that took one to live again counts
// though its status, which may be behind, says that it has ended. The lock must be held.
func (m *memory) counts(key *v1alpha1.ApiKey, now time.Time) bool {
	if validation.Counts(key, now) {
		return true
	}
	e, told := m.entries[nameOf(key)], key.Status.ExpiresAt
	if e == nil || e.uid != key.UID || told == nil || !told.Equal(e.revivedOver) {
		return false
	}
	return validation.Counts(&v1alpha1.ApiKey{Spec: key.Spec}, now)
}

func older(a, b *v1alpha1.ApiKey) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
