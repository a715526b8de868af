package apikey

import (
	"context"
	"errors"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/internal/validation"
)

// defaultPrefix begins keys where neither the key nor its workspace says anything.
const defaultPrefix = "ak"

// errRewritten says that the API server stored something else than the key that it was sent: a mutating
// admission webhook does that.
var errRewritten = errors.New("the delivered Secret was rewritten while it was created")

// carryOut writes what was planned, in the order that a crash between any two writes can be
// resumed from, and keeps the material as it then is.
func (r *Reconciler) carryOut(ctx context.Context, s *scope) error {
	if s.plan.Deliver != 0 {
		if err := r.deliver(ctx, s, s.plan.Deliver); err != nil {
			return err
		}
	}
	if s.plan.Hash != 0 {
		if err := r.hash(ctx, s, s.plan.Hash); err != nil {
			return err
		}
	}
	for _, generation := range s.plan.Delete {
		h := s.material.hashed[generation]
		if err := r.deleteHashed(ctx, h.secret); err != nil {
			return err
		}
		delete(s.material.hashed, generation)
	}
	return nil
}

// deliver makes a key and creates the Secret that holds it. Creating, unlike updating, cannot
// overwrite a key.
func (r *Reconciler) deliver(ctx context.Context, s *scope, generation int) error {
	made, err := token.New(prefix(s.key, s.references.workspace), environment(s.key))
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.SecretName()},
		Type:       corev1.SecretTypeOpaque,
		Data: map[string][]byte{
			v1alpha1.DataKeyApiKey: []byte(made.Reveal()),
			v1alpha1.DataKeyKeyID:  []byte(s.key.UID),
		},
	}
	wear(&secret.ObjectMeta, s.key)
	secret.Annotations[v1alpha1.AnnotationGeneration] = strconv.Itoa(generation)
	if err := r.create(ctx, secret); err != nil {
		return err
	}
	found := contentOf(secret)
	r.memory.rememberContent(s.key, &secret.ObjectMeta, found)
	s.material.delivered = newDelivered(&secret.ObjectMeta, s.key.UID, found)
	if s.material.delivered.key == nil {
		return errRewritten
	}
	return nil
}

// hash creates the hashed Secret of the delivered key.
func (r *Reconciler) hash(ctx context.Context, s *scope, generation int) error {
	d := s.material.delivered
	issuedAt := d.issuedAt()
	secret := credential.Credential{
		Hash: *d.key, Hint: d.hint, Generation: generation,
		ApiKeyUID: s.key.UID, ApiKey: s.name,
		IssuedAt: issuedAt,
		NotAfter: seconds(validation.ApprovedEnd(s.key, s.references.workspace, issuedAt)),
	}.Secret(r.Namespace)
	secret.Annotations[annotationApproved] = requestedEnd(&s.key.Spec)
	if err := r.create(ctx, secret); err != nil {
		return err
	}
	s.material.addHashed(secret, s.key.UID)
	return nil
}

func (r *Reconciler) create(ctx context.Context, secret *corev1.Secret) error {
	// Kept apart, because a client decodes whatever the server answers into the object.
	data := secret.Data
	return withhold(r.Writer.Create(ctx, secret), data)
}

// deleteHashed deletes this very Secret, and none of the same name that was made since.
func (r *Reconciler) deleteHashed(ctx context.Context, secret *corev1.Secret) error {
	uid := secret.UID
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}}
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
