package usage

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// FieldManager owns status.usage of ApiKeys and no other field.
const FieldManager = "claviger-usage"

// statuses reads and writes status.usage.
type statuses struct{ client client.Client }

// find returns the ApiKey with a key ID, from the cache; nil where there is none (any more).
func (s statuses) find(ctx context.Context, id string) (*v1alpha1.ApiKey, error) {
	var keys v1alpha1.ApiKeyList
	if err := s.client.List(ctx, &keys, client.MatchingFields{fieldindex.ApiKeyUID: id}); err != nil {
		return nil, err
	}
	if len(keys.Items) == 0 {
		return nil, nil
	}
	return &keys.Items[0], nil
}

// shows says whether a status tells of this usage already.
func shows(apiKey *v1alpha1.ApiKey, usage *v1alpha1.KeyUsage) bool {
	return apiKey.Status.Usage != nil && equality.Semantic.DeepEqual(apiKey.Status.Usage, usage)
}

// lastShown is the last use that a status tells of; zero where it tells of none.
func lastShown(apiKey *v1alpha1.ApiKey) time.Time {
	if apiKey.Status.Usage == nil || apiKey.Status.Usage.LastUsedAt == nil {
		return time.Time{}
	}
	return apiKey.Status.Usage.LastUsedAt.Time
}

// write applies the usage to the very ApiKey that the cache knows. Its resource version keeps
// the usage from another one of the same name made since; a UID would not, because the API
// server ignores it when it is the status that is applied.
func (s statuses) write(ctx context.Context, apiKey *v1alpha1.ApiKey, usage *v1alpha1.KeyUsage) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(usage)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{
			"namespace": apiKey.Namespace, "name": apiKey.Name, "resourceVersion": apiKey.ResourceVersion,
		},
		"status": map[string]any{"usage": fields},
	}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiKey"))
	return s.client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(FieldManager), client.ForceOwnership)
}

// toStatus is what a status tells of a key. Kubernetes keeps times to the second.
func toStatus(key usagefeed.Key) *v1alpha1.KeyUsage {
	usage := &v1alpha1.KeyUsage{
		Period: v1alpha1.UsagePeriod{
			Start:       toTime(key.Period.Start),
			UsageCounts: v1alpha1.UsageCounts(key.Period.Counts),
		},
		Total:      v1alpha1.UsageCounts(key.Total),
		Remaining:  key.Remaining,
		LastUsedAt: toTime(key.LastUsedAt),
	}
	if key.ResetAt != nil {
		usage.ResetAt = toTime(*key.ResetAt)
	}
	return usage
}

func toTime(at time.Time) *metav1.Time {
	return &metav1.Time{Time: at.UTC().Truncate(time.Second)}
}
