package cel

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What a schema's date-time takes and Go's decoder does not. One stored object like this
// ends every typed list and watch of its kind, for all namespaces.
var unreadable = []string{
	"2099-01-01t00:00:00z", "2099-01-01T00:00:00z", "2099-01-01T00:00:00+99:99", "2099-01-01T00:00:00x5Z", "2099-01-01T00:00:00Zt1",
	"0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-14:00",
}

func TestNoTimeIsStoredThatCannotBeRead(t *testing.T) {
	for _, when := range unreadable {
		object := with(full(t, "apikey-ending"), "spec.expiresAt", when)
		if err := tryCreate(object); err == nil {
			t.Errorf("expiresAt %q is not refused", when)
		}
		// As it comes past the webhook.
		if err := tryCreate(with(object, "spec.state", "Revoked")); err == nil {
			t.Errorf("expiresAt %q of a revoked key is not refused", when)
		}
	}
	key := create(t, full(t, "apikey"))
	for _, when := range unreadable {
		for _, status := range []map[string]any{
			{"issuedAt": when}, {"expiresAt": when},
			{"rotation": map[string]any{"nextAt": when}},
			{"rotation": map[string]any{"previous": map[string]any{"endsAt": when}}},
			{"revocation": map[string]any{"requestedAt": when}}, {"revocation": map[string]any{"propagatedAt": when}},
			{"usage": map[string]any{"previousLastUsedAt": when}},
			{"usage": map[string]any{"resetAt": when}}, {"usage": map[string]any{"lastUsedAt": when}},
			{"usage": map[string]any{"budgetResetAt": when}},
			{"usage": map[string]any{"exhausted": map[string]any{"limit": "l", "reason": "QuotaExhausted", "resetAt": when}}},
			{"usage": map[string]any{"period": map[string]any{"start": when, "requests": int64(0), "denied": int64(0)}}},
		} {
			if err := writeStatus(key, status); err == nil {
				t.Errorf("status %v is not refused", status)
			}
		}
	}
	account := create(t, full(t, "serviceaccount"))
	for _, when := range unreadable {
		if err := writeStatus(account, map[string]any{"token": map[string]any{"apiKeyName": "robot", "expiresAt": when}}); err == nil {
			t.Errorf("a token's end %q is not refused", when)
		}
	}
	for _, kind := range []string{"workspace", "serviceaccount"} {
		object := create(t, with(full(t, kind), "metadata.name", "used-"+kind))
		for _, when := range unreadable {
			for _, usage := range []map[string]any{
				{"lastUsedAt": when}, {"period": map[string]any{"start": when, "requests": int64(0)}},
			} {
				if err := writeStatus(object, map[string]any{"usage": usage}); err == nil {
					t.Errorf("usage %v of %s is not refused", usage, kind)
				}
			}
		}
	}
	for _, kind := range kinds {
		object := create(t, with(full(t, kind), "metadata.name", "times-"+kind))
		for _, when := range unreadable {
			if err := writeStatus(object, map[string]any{"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Any", "message": "", "lastTransitionTime": when,
			}}}); err == nil {
				t.Errorf("a condition of %s since %q is not refused", kind, when)
			}
		}
	}
}

func writeStatus(object *unstructured.Unstructured, status map[string]any) error {
	changed := object.DeepCopy()
	changed.Object["status"] = status
	return api.Status().Patch(context.Background(), changed, client.MergeFrom(object), client.DryRunAll)
}
