package cli

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// columns of the table of keys, and what stands in them.
var columns = []struct {
	name string
	wide bool
	cell func(*v1alpha1.ApiKey, time.Time) any
}{
	{"Name", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return k.Name }},
	{"Workspace", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return k.Spec.WorkspaceRef.Name }},
	{"State", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return stateOf(k) }},
	{"Hint", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return otherwise(k.Status.Hint, "<none>") }},
	{"Scopes", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return scopesOf(k) }},
	{"Expires", false, func(k *v1alpha1.ApiKey, now time.Time) any { return endOf(k, now) }},
	{"Last Used", false, func(k *v1alpha1.ApiKey, now time.Time) any { return lastUse(k, now) }},
	{"Used", false, func(k *v1alpha1.ApiKey, _ time.Time) any { return used(k) }},
	{"Remaining", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return remaining(k) }},
	{"Delivery", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return deliveryOf(k) }},
	{"Keys", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return int64(k.Status.KeyGeneration) }},
	{"Rotates", true, func(k *v1alpha1.ApiKey, now time.Time) any { return rotates(k, now) }},
	{"Account", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return accountOf(k) }},
	{"Entity", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return entityOf(k) }},
	{"Display Name", true, func(k *v1alpha1.ApiKey, _ time.Time) any { return otherwise(k.Spec.DisplayName, "<none>") }},
	{"Age", true, func(k *v1alpha1.ApiKey, now time.Time) any {
		return duration.HumanDuration(now.Sub(k.CreationTimestamp.Time))
	}},
}

func keyTable(keys []v1alpha1.ApiKey, now time.Time, wide bool) *metav1.Table {
	table := &metav1.Table{}
	for _, c := range columns {
		if wide || !c.wide {
			table.ColumnDefinitions = append(table.ColumnDefinitions, metav1.TableColumnDefinition{Name: c.name, Type: "string"})
		}
	}
	for i := range keys {
		row := metav1.TableRow{Object: runtime.RawExtension{Object: &keys[i]}}
		for _, c := range columns {
			if wide || !c.wide {
				row.Cells = append(row.Cells, c.cell(&keys[i], now))
			}
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func otherwise(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

// stateOf is what the operator says, but for a revocation that it has not heard of yet: that holds already.
func stateOf(k *v1alpha1.ApiKey) string {
	if k.Spec.State == v1alpha1.KeyRevoked || k.Spec.State == v1alpha1.KeyDisabled && k.Status.State == v1alpha1.ReasonActive {
		return string(k.Spec.State)
	}
	return otherwise(k.Status.State, v1alpha1.ReasonPending)
}

const shownScopes = 3

func scopesOf(k *v1alpha1.ApiKey) string {
	var texts []string
	for _, scope := range k.Spec.Scopes[:min(len(k.Spec.Scopes), shownScopes)] {
		texts = append(texts, string(scope))
	}
	text := strings.Join(texts, ",")
	if more := len(k.Spec.Scopes) - shownScopes; more > 0 {
		text += fmt.Sprintf(",+%d", more)
	}
	if n := len(k.Spec.Grants); n > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s,+%d grants", text, n), ",")
	}
	return otherwise(text, "<none>")
}

func endOf(k *v1alpha1.ApiKey, now time.Time) string {
	end := k.Status.ExpiresAt
	if end == nil {
		end = k.Spec.ExpiresAt
	}
	switch {
	case end == nil:
		return "never"
	case end.After(now):
		return "in " + duration.HumanDuration(end.Sub(now))
	}
	return duration.HumanDuration(now.Sub(end.Time)) + " ago"
}

func lastUse(k *v1alpha1.ApiKey, now time.Time) string {
	if k.Status.Usage == nil {
		return "never"
	}
	return useAt(k.Status.Usage.LastUsedAt, now)
}

func useAt(at *metav1.Time, now time.Time) string {
	if at == nil {
		return "never"
	}
	return duration.HumanDuration(max(0, now.Sub(at.Time))) + " ago"
}

func used(k *v1alpha1.ApiKey) int64 {
	if k.Status.Usage == nil {
		return 0
	}
	return k.Status.Usage.Period.Requests
}

func remaining(k *v1alpha1.ApiKey) string {
	if k.Status.Usage == nil || k.Status.Usage.Remaining == nil {
		return "<none>"
	}
	return fmt.Sprint(*k.Status.Usage.Remaining)
}

func deliveryOf(k *v1alpha1.ApiKey) string {
	switch {
	case k.Spec.Source != nil:
		return "Source"
	case k.Spec.Delivery.Type == v1alpha1.DeliverySealed:
		return string(v1alpha1.DeliverySealed)
	}
	return "Secret/" + k.SecretName()
}

func rotates(k *v1alpha1.ApiKey, now time.Time) string {
	if r := k.Status.Rotation; r != nil && r.NextAt != nil {
		return "in " + duration.HumanDuration(max(0, r.NextAt.Sub(now)))
	}
	return "never"
}

func accountOf(k *v1alpha1.ApiKey) string {
	if k.Spec.ServiceAccountRef == nil {
		return "<none>"
	}
	return k.Spec.ServiceAccountRef.Name
}

func entityOf(k *v1alpha1.ApiKey) string {
	if k.Spec.Entity == nil {
		return "<none>"
	}
	return k.Spec.Entity.Kind + "/" + string(k.Spec.Entity.ID)
}
