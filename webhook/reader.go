package webhook

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// reader gathers what the rules must know of other objects.
type reader struct {
	cached client.Reader
	live   client.Reader
}

// get reads an object and says whether it exists. Several objects are often applied in one go,
// and the cache may not have heard of the first yet: what it does not know is asked for.
func (r reader) get(ctx context.Context, kind, namespace, name string, object client.Object) (bool, error) {
	at := client.ObjectKey{Namespace: namespace, Name: name}
	err := r.cached.Get(ctx, at, object)
	if apierrors.IsNotFound(err) {
		err = r.live.Get(ctx, at, object)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(fmt.Sprintf("%s %s", kind, at), err)
	}
	return true, nil
}

func (r reader) workspace(ctx context.Context, namespace, name string) (*v1alpha1.Workspace, error) {
	workspace := &v1alpha1.Workspace{}
	if exists, err := r.get(ctx, "Workspace", namespace, name, workspace); !exists {
		return nil, err
	}
	return workspace, nil
}

func (r reader) serviceAccount(ctx context.Context, namespace, name string) (*v1alpha1.ServiceAccount, error) {
	account := &v1alpha1.ServiceAccount{}
	if exists, err := r.get(ctx, "ServiceAccount", namespace, name, account); !exists {
		return nil, err
	}
	return account, nil
}

// countOthers counts the keys besides this one that an index finds and that are wanted.
func (r reader) countOthers(ctx context.Context, key client.Object, index, value string, wanted func(*v1alpha1.ApiKey) bool) (int, error) {
	var list v1alpha1.ApiKeyList
	err := r.cached.List(ctx, &list, client.InNamespace(key.GetNamespace()),
		client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy) // they are only looked at
	if err != nil {
		return 0, unavailable("the other ApiKeys of "+value, err)
	}
	count := 0
	for i := range list.Items {
		if other := &list.Items[i]; other.Name != key.GetName() && wanted(other) {
			count++
		}
	}
	return count, nil
}

// missingLimits warns of limits that do not exist yet, which may be misspelt, and what that means. A warning
// is not worth refusing anything for, so what cannot be read is passed over.
func (r reader) missingLimits(ctx context.Context, namespace string, refs []v1alpha1.LocalReference, meanwhile string) (warnings admission.Warnings) {
	for _, ref := range refs {
		exists, err := r.get(ctx, "KeyLimit", namespace, ref.Name, &v1alpha1.KeyLimit{})
		if err == nil && !exists {
			warnings = append(warnings, fmt.Sprintf("KeyLimit %q does not exist yet: %s", ref.Name, meanwhile))
		}
	}
	return warnings
}

func unavailable(what string, err error) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf(
		"cannot read %s to check the object against, so nothing was changed: try again (%v)", what, err))
}
