package apikey

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// defaultPrefix begins keys where neither the key nor its workspace says anything.
const defaultPrefix = "ak"

var (
	// errRewritten says that the API server stored something else than the key that it was sent: a mutating
	// admission webhook does that.
	errRewritten = errors.New("the delivered Secret was rewritten while it was created")
	// errChanged says that a Secret is not the one any more that was judged.
	errChanged = errors.New("a Secret changed meanwhile")
)

// carryOut writes what was planned, in the order that a crash between any two writes can be
// resumed from, and keeps the material as it then is.
func (r *Reconciler) carryOut(ctx context.Context, s *scope) error {
	p := &s.plan
	for _, step := range []struct {
		planned bool
		write   func() error
	}{
		{p.Adopt, func() error { return r.adopt(ctx, s) }},
		{p.Deliver != 0, func() error { return r.deliver(ctx, s, p.Deliver) }},
		{p.Stage != 0, func() error { return r.stage(ctx, s, p.Stage) }},
		{p.Hash != 0, func() error { return r.hash(ctx, s, p.Hash, p.From) }},
		{p.Promote != 0, func() error { return r.promote(ctx, s) }},
		{len(p.Retire) > 0, func() error { return r.retire(ctx, s, p.Retire) }},
		{len(p.Delete) > 0, func() error { return r.deleteGenerations(ctx, s, p.Delete) }},
		{p.Unstage, func() error { return r.unstage(ctx, s) }},
	} {
		if !step.planned {
			continue
		}
		if err := step.write(); err != nil {
			return err
		}
	}
	return nil
}

// retire sets the end of keys that were replaced to that of the overlap. Each works on until then, whatever
// becomes of the operator.
func (r *Reconciler) retire(ctx context.Context, s *scope, generations []int) error {
	end := s.overlapEnd().UTC().Truncate(time.Second)
	for _, generation := range generations {
		if err := r.setEnd(ctx, s, s.material.hashed[generation], &end, ""); err != nil {
			return err
		}
	}
	return nil
}

// setEnd replaces the approved end of a key, and does so only in the version of the Secret that was judged.
// Approved, where it is not empty, is what the spec said.
func (r *Reconciler) setEnd(ctx context.Context, s *scope, h *hashedSecret, end *time.Time, approved string) error {
	c := h.credential
	c.NotAfter = end
	wanted := c.Secret(r.Namespace)
	secret := h.secret.DeepCopy()
	patch := client.MergeFromWithOptions(h.secret, client.MergeFromWithOptimisticLock{})
	secret.Data = wanted.Data
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	if approved != "" {
		secret.Annotations[annotationApproved] = approved
	}
	if err := withhold(r.Writer.Patch(ctx, secret, patch), wanted.Data); err != nil {
		return err
	}
	s.material.addHashed(secret, s.key.UID)
	return nil
}

func (r *Reconciler) deleteGenerations(ctx context.Context, s *scope, generations []int) error {
	for _, generation := range generations {
		if err := r.deleteThis(ctx, s.material.hashed[generation].secret); err != nil {
			return err
		}
		delete(s.material.hashed, generation)
	}
	return nil
}

func (r *Reconciler) create(ctx context.Context, secret *corev1.Secret) error {
	// Kept apart, because a client decodes whatever the server answers into the object.
	data := secret.Data
	return withhold(r.Writer.Create(ctx, secret), data)
}

// patch writes what changed of a Secret, and does so only in the version that it was read in.
func (r *Reconciler) patch(ctx context.Context, before, after *corev1.Secret) error {
	data := after.Data
	err := r.Writer.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return withhold(err, data)
}

// deleteThis deletes this very Secret, and none of the same name that was made since.
func (r *Reconciler) deleteThis(ctx context.Context, secret metav1.Object) error {
	uid := secret.GetUID()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.GetNamespace(), Name: secret.GetName()}}
	err := r.Writer.Delete(ctx, object, client.Preconditions{UID: &uid})
	if apierrors.IsConflict(err) {
		return nil // it is gone, and what stands there now is judged when it is seen
	}
	return client.IgnoreNotFound(err)
}

func prefix(key *v1alpha1.ApiKey, workspace *v1alpha1.Workspace) string {
	switch {
	case key.Spec.Prefix != "":
		return key.Spec.Prefix
	case key.Spec.Entity != nil && key.Spec.Entity.Kind == v1alpha1.EntityUser:
		return v1alpha1.PersonalPrefix
	case workspace.Spec.Keys.Prefix != "":
		return workspace.Spec.Keys.Prefix
	}
	return defaultPrefix
}

func environment(key *v1alpha1.ApiKey) string {
	if key.Spec.Environment != "" {
		return string(key.Spec.Environment)
	}
	return string(v1alpha1.EnvironmentLive)
}

// seconds cuts a time as Secrets keep it.
func seconds(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	cut := at.UTC().Truncate(time.Second)
	return &cut
}
