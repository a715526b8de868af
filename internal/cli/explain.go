package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/explain"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

func (p *Plugin) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Say why a key works, or does not, and what to do",
		Long: "Looks at an ApiKey, at what it refers to, at whether its Secret is there (not at what is in it) and at its events, and says\n" +
			"what there is to know, the most important first. What you may not read is named, and left out.",
		Example:           "  kubectl claviger explain checkout",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			key, err := c.key(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			facts, err := c.facts(cmd.Context(), key)
			if err != nil {
				return err
			}
			return explain.Key(facts, p.Now()).Print(p.Out)
		},
	}
}

// gatherer reads objects, and notes which of them the user may not.
type gatherer struct {
	*cluster
	hidden []string
	err    error // the first that is no matter of presence
}

func (g *gatherer) get(ctx context.Context, object client.Object, name, right string) explain.Presence {
	err := g.Get(ctx, client.ObjectKey{Namespace: object.GetNamespace(), Name: name}, object)
	switch {
	case err == nil:
		return explain.Present
	case apierrors.IsNotFound(err):
		return explain.Missing
	}
	g.hide(err, right)
	return explain.Unknown
}

func (g *gatherer) hide(err error, right string) {
	switch {
	case apierrors.IsForbidden(err):
		if text := fmt.Sprintf("that takes the right to %s in namespace %s", right, g.namespace); !slices.Contains(g.hidden, text) {
			g.hidden = append(g.hidden, text)
		}
	case g.err == nil:
		g.err = fault.Told(err)
	}
}

func (c *cluster) facts(ctx context.Context, key *v1alpha1.ApiKey) (explain.Facts, error) {
	g := gatherer{cluster: c}
	f := explain.Facts{Key: key}
	in := metav1.ObjectMeta{Namespace: key.Namespace}

	workspace := &v1alpha1.Workspace{ObjectMeta: in}
	if f.WorkspaceFound = g.get(ctx, workspace, key.Spec.WorkspaceRef.Name, "get workspaces.keys.claviger.dev"); f.WorkspaceFound == explain.Present {
		f.Workspace = workspace
	}
	if ref := key.Spec.ServiceAccountRef; ref != nil {
		account := &v1alpha1.ServiceAccount{ObjectMeta: in}
		if f.AccountFound = g.get(ctx, account, ref.Name, "get serviceaccounts.keys.claviger.dev"); f.AccountFound == explain.Present {
			f.Account = account
		}
	}
	for _, ref := range key.Spec.LimitRefs {
		limit := &v1alpha1.KeyLimit{ObjectMeta: in}
		found := g.get(ctx, limit, ref.Name, "get keylimits.keys.claviger.dev")
		if f.Limits == nil {
			f.Limits = map[string]*v1alpha1.KeyLimit{}
		}
		switch found {
		case explain.Present:
			f.Limits[ref.Name] = limit
		case explain.Missing:
			f.Limits[ref.Name] = nil
		}
	}
	if key.Spec.Source == nil && key.Spec.Delivery.Type != v1alpha1.DeliverySealed {
		// The metadata alone: the key is nobody's business here.
		secret := &metav1.PartialObjectMetadata{ObjectMeta: in}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		f.Secret = g.get(ctx, secret, key.SecretName(), "get secrets")
	}
	f.Events = g.events(ctx, key)
	f.Hidden = g.hidden
	return f, g.err
}

// events of an ApiKey, the newest first.
func (g *gatherer) events(ctx context.Context, key *v1alpha1.ApiKey) []eventsv1.Event {
	list := &eventsv1.EventList{}
	selector := fields.AndSelectors(fields.OneTermEqualSelector("regarding.name", key.Name), fields.OneTermEqualSelector("regarding.kind", "ApiKey"))
	if err := g.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingFieldsSelector{Selector: selector}); err != nil {
		g.hide(err, "list events.events.k8s.io")
		return nil
	}
	slices.SortStableFunc(list.Items, func(a, b eventsv1.Event) int { return explain.At(&b).Compare(explain.At(&a)) })
	return list.Items
}
