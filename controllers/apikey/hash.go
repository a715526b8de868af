package apikey

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/apikey/issuance"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/sealing"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/internal/validation"
)

// hash creates the hashed Secret of a key. Only of a sealed key is it the first that is written of it:
// with what was sealed in the same Secret, neither can be lost without the other.
func (r *Reconciler) hash(ctx context.Context, s *scope, generation int, from issuance.Origin) error {
	c, asked, err := s.credentialOf(from)
	if err != nil {
		return err
	}
	c.Generation, c.ApiKeyUID, c.ApiKey = generation, s.key.UID, s.name
	c.NotAfter = seconds(validation.ApprovedEnd(s.key, s.references.workspace, c.IssuedAt))
	secret := c.Secret(r.Namespace)
	secret.Annotations[annotationApproved] = requestedEnd(&s.key.Spec)
	if asked != "" {
		secret.Annotations[annotationRegenerated] = asked
	}
	if err := r.create(ctx, secret); err != nil {
		return err
	}
	s.succeeded = s.succeeded || len(s.material.hashed) > 0 && (from == issuance.Sealed || from == issuance.Source)
	s.material.addHashed(secret, s.key.UID)
	return nil
}

// credentialOf is what is kept of the key to be hashed, and which regeneration it answers.
func (s *scope) credentialOf(from issuance.Origin) (c credential.Credential, asked string, err error) {
	now := s.now.UTC().Truncate(time.Second)
	switch from {
	case issuance.Sealed:
		c, err = s.seal(now)
		return c, regeneration(s.key), err
	case issuance.Source:
		b := s.material.brought
		return credential.Credential{Hash: b.hash, Hint: b.hint, Foreign: b.foreign, IssuedAt: s.broughtAt(now)}, "", nil
	}
	d := s.material.delivered
	if from == issuance.Staged {
		d = s.material.staged
	}
	return credential.Credential{Hash: *d.key, Hint: d.hint, IssuedAt: d.issuedAt(s.now)}, d.meta.Annotations[annotationRegenerated], nil
}

// seal makes a key and encrypts it. Its plain text ends with this call.
func (s *scope) seal(now time.Time) (credential.Credential, error) {
	key, err := token.New(prefix(s.key, s.references.workspace), environment(s.key))
	if err != nil {
		return credential.Credential{}, err
	}
	to := recipients(s.key)
	sealed, err := sealing.Seal(key, to)
	if err != nil {
		return credential.Credential{}, err
	}
	return credential.Credential{Hash: key.Hash(), Hint: key.Hint(), IssuedAt: now, Sealed: sealed, SealedTo: to}, nil
}

func recipients(key *v1alpha1.ApiKey) (texts []string) {
	for _, recipient := range key.Spec.Delivery.Recipients {
		texts = append(texts, string(recipient))
	}
	return texts
}

// broughtAt is when a key that is brought along counts as issued: when it was seen, or, where its hash was lost, when the
// status says that it was.
func (s *scope) broughtAt(now time.Time) time.Time {
	told := &s.key.Status
	if len(s.material.hashed) == 0 && told.IssuedAt != nil && told.Hint == s.material.brought.hint {
		return told.IssuedAt.UTC()
	}
	return now
}
