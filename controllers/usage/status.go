package usage

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// FieldManager owns status.usage of all four kinds and no other field.
const FieldManager = "claviger-usage"

// statuses reads status.usage from the cache and writes it.
type statuses struct{ client, writer client.Client }

// apiKey returns the ApiKey with a key ID, from the cache; nil where there is none (any more).
func (s statuses) apiKey(ctx context.Context, id string) (*v1alpha1.ApiKey, error) {
	var list v1alpha1.ApiKeyList
	err := s.client.List(ctx, &list, client.MatchingFields{fieldindex.ApiKeyUID: id})
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// keyLimit returns the KeyLimit with a UID likewise.
func (s statuses) keyLimit(ctx context.Context, uid string) (*v1alpha1.KeyLimit, error) {
	var list v1alpha1.KeyLimitList
	err := s.client.List(ctx, &list, client.MatchingFields{fieldindex.KeyLimitUID: uid})
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// group returns the Workspace or the ServiceAccount of a name likewise, and what usage its status shows.
func (s statuses) group(ctx context.Context, kind, name string) (object client.Object, has *v1alpha1.GroupUsage, err error) {
	var at client.ObjectKey
	at.Namespace, at.Name, _ = strings.Cut(name, "/")
	switch kind {
	case usagefeed.KindWorkspace:
		workspace := &v1alpha1.Workspace{}
		err = s.client.Get(ctx, at, workspace)
		object, has = workspace, workspace.Status.Usage
	case usagefeed.KindServiceAccount:
		account := &v1alpha1.ServiceAccount{}
		err = s.client.Get(ctx, at, account)
		object, has = account, account.Status.Usage
	default:
		return nil, nil, nil // a later verifier may tell of more
	}
	if err != nil {
		return nil, nil, client.IgnoreNotFound(err)
	}
	return object, has, nil
}

// write applies the usage to the very object that the cache knows. Its resource version keeps
// the usage from another one of the same name made since; a UID would not, because the API
// server ignores it when it is the status that is applied. It returns the resource version that the write made.
func (s statuses) write(ctx context.Context, object client.Object, usage any) (version string, err error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(usage)
	if err != nil {
		return "", err
	}
	kind, err := s.writer.GroupVersionKindFor(object)
	if err != nil {
		return "", err
	}
	applied := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"namespace": object.GetNamespace(), "name": object.GetName(), "resourceVersion": object.GetResourceVersion(),
		},
		"status": map[string]any{"usage": fields},
	}}
	applied.SetGroupVersionKind(kind)
	err = s.writer.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
		client.FieldOwner(FieldManager), client.ForceOwnership)
	return applied.GetResourceVersion(), err
}

// keyUsage is what a status tells of a key, the current one of which is of a generation, 0 where that is
// not known. Kubernetes keeps times to the second.
func keyUsage(key *usagefeed.Key, exhausted *exhaustion, current int) *v1alpha1.KeyUsage {
	usage := &v1alpha1.KeyUsage{
		Period:              usagePeriod(&key.Period),
		Total:               v1alpha1.UsageCounts(key.Total),
		Remaining:           key.Remaining,
		ResetAt:             toTime(key.ResetAt),
		RemainingMicrocents: key.BudgetRemaining,
		BudgetResetAt:       toTime(key.BudgetResetAt),
		LastUsedAt:          toTime(&key.LastUsedAt),
		PreviousLastUsedAt:  toTime(previousUse(key.Generations, current)),
	}
	if exhausted != nil {
		usage.Exhausted = &exhausted.ExhaustedLimit
	}
	return usage
}

func groupUsage(group *usagefeed.Group) *v1alpha1.GroupUsage {
	return &v1alpha1.GroupUsage{
		Period:     usagePeriod(&group.Period),
		Total:      v1alpha1.UsageCounts(group.Total),
		LastUsedAt: toTime(&group.LastUsedAt),
	}
}

func usagePeriod(period *usagefeed.Period) v1alpha1.UsagePeriod {
	return v1alpha1.UsagePeriod{Start: toTime(&period.Start), UsageCounts: v1alpha1.UsageCounts(period.Counts)}
}

// previousUse is when a key before the current one was last used: of several the newest. Nil: none was.
func previousUse(generations []usagefeed.Generation, current int) *time.Time {
	var newest *usagefeed.Generation
	for i := range generations {
		g := &generations[i]
		if g.Number < current && (newest == nil || g.Number > newest.Number) {
			newest = g
		}
	}
	if newest == nil {
		return nil
	}
	return &newest.LastUsedAt
}

func toTime(at *time.Time) *metav1.Time {
	if at == nil || at.IsZero() {
		return nil
	}
	return &metav1.Time{Time: at.UTC().Truncate(time.Second)}
}
