package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/fault"
	"github.com/claviger-dev/claviger/internal/cli/identity"
)

// Where the recipients of a key stand in an ApiKey, and in a ServiceAccount with a token.
var (
	recipientsOfKey   = []string{"spec", "delivery", "recipients"}
	recipientsOfToken = []string{"spec", "token", "delivery", "recipients"}
)

// demand asks for another key: by the annotation and, with a new identity, the recipients in the same patch, so that no
// key is made for the old ones in between. What is returned reads it; nil: somebody else does.
func (p *Plugin) demand(ctx context.Context, c *cluster, object client.Object, r renewal, recipients []string) (*identity.Identity, error) {
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		v1alpha1.AnnotationRegenerate: p.Now().UTC().Format(time.RFC3339Nano),
	}}}
	var mine *identity.Identity
	if r.newIdentity {
		var err error
		if mine, err = identity.New(); err != nil {
			return nil, err
		}
		put(patch, []v1alpha1.Recipient{mine.Recipient()}, recipients...)
	}
	if err := c.change(ctx, object, patch); err != nil {
		return nil, err
	}
	if mine != nil {
		p.warnOfGit(object, "the recipients")
	}
	return mine, nil
}

// change patches an object, and brings it up to date.
func (c *cluster) change(ctx context.Context, object client.Object, patch map[string]any) error {
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return fault.Told(c.Patch(ctx, object, client.RawPatch(types.MergePatchType, text), client.FieldOwner(fieldManager)))
}

func put(into map[string]any, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		inner, ok := into[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			into[name] = inner
		}
		into = inner
	}
	into[path[len(path)-1]] = value
}

// marks are the labels and annotations by which those who apply from Git know their own.
var marks = []string{
	"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance", "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name",
}

// warnOfGit tells that an object is applied from elsewhere, and what was changed here.
func (p *Plugin) warnOfGit(object client.Object, changed string) {
	for _, mark := range marks {
		if object.GetLabels()[mark] != "" || object.GetAnnotations()[mark] != "" {
			p.say("%s is applied from Git (%s). Commit the same there: this changed %s.", object.GetName(), mark, changed)
			return
		}
	}
}

// account gets a ServiceAccount of keys.claviger.dev by its name.
func (c *cluster) account(ctx context.Context, name string) (*v1alpha1.ServiceAccount, error) {
	account := &v1alpha1.ServiceAccount{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, account); err != nil {
		return nil, named(err, "ServiceAccount of keys.claviger.dev", c.namespace, name, "kubectl get ksa")
	}
	return account, nil
}

// tokenOf gets the ApiKey that is kept for an account, and which generation its key is; zero: there is none yet.
func (c *cluster) tokenOf(ctx context.Context, account *v1alpha1.ServiceAccount) (*v1alpha1.ApiKey, int32, error) {
	name := account.Name
	if account.Status.Token != nil {
		name = account.Status.Token.ApiKeyName
	}
	key, err := c.key(ctx, name)
	if err != nil {
		return nil, 0, fmt.Errorf("the token of ServiceAccount %s is not there: %w", account.Name, err)
	}
	return key, key.Status.KeyGeneration, nil
}
