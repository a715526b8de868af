package serviceaccount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const (
	// defaultTTL is a token's life where nothing, not even the API server, has set one.
	defaultTTL = 8760 * time.Hour
	// everything is the scope of a token whose account has no ceiling of its own: whatever is in the catalogue.
	everything = "**"
	// annotationRenewed, on a token's ApiKey, is which renewal that the account asked for was handed on to it, as
	// a digest. A person may regenerate the ApiKey itself; that is not to be undone by a value of before.
	annotationRenewed = "keys.claviger.dev/renewed"
	// refusalRetry is when to try again what was refused.
	refusalRetry = time.Minute
)

// problem is what keeps an account from having its token.
type problem struct {
	reason, message string
	stalled         bool
}

// errOutdated says that what was decided on is not so any more; the event of that is on its way.
var errOutdated = errors.New("the account or its token changed meanwhile")

// keepToken brings the ApiKey that is the account's token to what the account asks for, and returns it as the
// cache has it; nil: there is none, or there is to be none.
func (r *Reconciler) keepToken(ctx context.Context, account *v1alpha1.ServiceAccount) (*v1alpha1.ApiKey, *problem, error) {
	key, err := get[v1alpha1.ApiKey](ctx, r.Cached, client.ObjectKeyFromObject(account))
	if err != nil {
		return nil, nil, err
	}
	if account.Spec.Token == nil {
		if key != nil && metav1.IsControlledBy(key, account) {
			return nil, nil, r.endToken(ctx, account)
		}
		return nil, nil, nil
	}
	if key != nil && metav1.IsControlledBy(key, account) && isToken(key, account) {
		return key, nil, nil
	}
	switch err := r.writeToken(ctx, account); {
	case errors.Is(err, errTaken):
		return nil, &problem{v1alpha1.ReasonTokenConflict, fmt.Sprintf(
			"ApiKey %q exists and is not this account's token, so it is left alone: remove it, or create an account of another name", account.Name), true}, nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return key, &problem{v1alpha1.ReasonWriteRefused, "The API server refused the token's ApiKey: " + err.Error(), false}, nil
	default:
		return key, nil, err
	}
}

// endToken deletes the token of an account that is to have none. That it is to have none is believed only of
// the API server: a cache may be of before the account had one.
func (r *Reconciler) endToken(ctx context.Context, cached *v1alpha1.ServiceAccount) error {
	at := client.ObjectKeyFromObject(cached)
	account, err := get[v1alpha1.ServiceAccount](ctx, r.Live, at)
	if err != nil {
		return err
	}
	if account == nil || account.UID != cached.UID || account.Spec.Token != nil {
		return errOutdated
	}
	key, err := get[v1alpha1.ApiKey](ctx, r.Live, at)
	if err != nil || key == nil || !metav1.IsControlledBy(key, account) {
		return err
	}
	return r.deleteToken(ctx, key)
}

// errTaken says that somebody else's ApiKey has the token's name.
var errTaken = errors.New("the name of the token is taken")

// writeToken creates or changes the token's ApiKey. Both are read again from the API server, and only what was read
// is changed: what an operator that stood still remembers of an account would make a key that nobody asked for.
func (r *Reconciler) writeToken(ctx context.Context, cached *v1alpha1.ServiceAccount) error {
	at := client.ObjectKeyFromObject(cached)
	account, err := get[v1alpha1.ServiceAccount](ctx, r.Live, at)
	if err != nil {
		return err
	}
	if account == nil || account.UID != cached.UID || account.Spec.Token == nil || !account.DeletionTimestamp.IsZero() {
		return errOutdated
	}
	before, err := get[v1alpha1.ApiKey](ctx, r.Live, at)
	switch {
	case err != nil:
		return err
	case before == nil:
		key := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "ServiceAccount", Name: account.Name, UID: account.UID, Controller: ptr.To(true),
		}}}}
		shape(key, account)
		return r.Writer.Create(ctx, key)
	case !metav1.IsControlledBy(before, account):
		return errTaken
	case !before.DeletionTimestamp.IsZero():
		return errOutdated
	case isAnother(before, account):
		return r.deleteToken(ctx, before) // and made again when that is seen
	}
	after := before.DeepCopy()
	shape(after, account)
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	return r.Writer.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// shape makes an ApiKey the account's token. What people add to it besides, networks or limits, is theirs.
func shape(key *v1alpha1.ApiKey, account *v1alpha1.ServiceAccount) {
	spec, token := &key.Spec, account.Spec.Token.DeepCopy()
	spec.WorkspaceRef = account.Spec.WorkspaceRef
	spec.ServiceAccountRef = &v1alpha1.LocalReference{Name: account.Name}
	spec.DisplayName = account.Spec.DisplayName
	spec.Environment = token.Environment
	spec.ExpiresAt = nil
	if spec.TTL = token.TTL; spec.TTL == nil {
		spec.TTL = &metav1.Duration{Duration: defaultTTL}
	}
	spec.Delivery = token.Delivery
	spec.Scopes, spec.Grants = account.DeepCopy().Spec.Scopes, account.DeepCopy().Spec.Grants
	if len(spec.Scopes) == 0 && len(spec.Grants) == 0 {
		spec.Scopes = []v1alpha1.Scope{everything}
	}
	if asked := account.Annotations[v1alpha1.AnnotationRegenerate]; asked != "" && digest(asked) != key.Annotations[annotationRenewed] {
		if key.Annotations == nil {
			key.Annotations = map[string]string{}
		}
		key.Annotations[v1alpha1.AnnotationRegenerate], key.Annotations[annotationRenewed] = asked, digest(asked)
	}
}

// isToken says whether an ApiKey is what the account asks for.
func isToken(key *v1alpha1.ApiKey, account *v1alpha1.ServiceAccount) bool {
	wanted := key.DeepCopy()
	shape(wanted, account)
	return equality.Semantic.DeepEqual(key, wanted)
}

// isAnother says that the token would have to be changed in what cannot be changed.
func isAnother(key *v1alpha1.ApiKey, account *v1alpha1.ServiceAccount) bool {
	is, wanted := &key.Spec, account.Spec.Token
	return is.WorkspaceRef != account.Spec.WorkspaceRef || is.ServiceAccountRef == nil || is.ServiceAccountRef.Name != account.Name ||
		is.Environment != wanted.Environment || is.Delivery.Type != wanted.Delivery.Type || is.Delivery.SecretName != wanted.Delivery.SecretName
}

// deleteToken deletes this very ApiKey, and with it the token.
func (r *Reconciler) deleteToken(ctx context.Context, key *v1alpha1.ApiKey) error {
	uid := key.UID
	return client.IgnoreNotFound(r.Writer.Delete(ctx, key.DeepCopy(), client.Preconditions{UID: &uid}))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// get reads an object; nil: it does not exist.
func get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, at client.ObjectKey) (P, error) {
	object := P(new(T))
	switch err := reader.Get(ctx, at, object); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return object, nil
}
