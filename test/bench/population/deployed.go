package population

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Deployed is a key as an API server keeps it: applied by kubectl, its status written by the
// operator. It is what a feed has to read, and more than it has to keep.
func Deployed(number int) *v1alpha1.ApiKey {
	k := ApiKey(number)
	issued := metav1.NewTime(IssuedAt)
	k.Status = v1alpha1.ApiKeyStatus{
		ObservedGeneration: 1, KeyID: string(k.UID), Hint: "ak_live_…x7Qz", State: "Active", IssuedAt: &issued, SecretName: k.Name,
		Conditions: []metav1.Condition{
			{Type: "Active", Status: metav1.ConditionTrue, ObservedGeneration: 1, LastTransitionTime: issued, Reason: "Active", Message: "the key works"},
			{Type: "Ready", Status: metav1.ConditionTrue, ObservedGeneration: 1, LastTransitionTime: issued, Reason: "Issued", Message: "the key is in the Secret " + k.Name},
		},
	}
	k.ManagedFields = []metav1.ManagedFieldsEntry{
		managed("kubectl", v1alpha1.GroupVersion.String(), "", appliedFields),
		managed("claviger-operator", v1alpha1.GroupVersion.String(), "status", statusFields),
	}
	return k
}

// Kept is a hashed Secret as an API server keeps it.
func Kept(secret *corev1.Secret, number int) *corev1.Secret {
	secret.UID = uid("Secret", number)
	secret.CreationTimestamp = metav1.NewTime(IssuedAt)
	secret.ManagedFields = []metav1.ManagedFieldsEntry{managed("claviger-operator", "v1", "", secretFields)}
	return secret
}

func managed(manager, version, subresource, fields string) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(IssuedAt.Add(time.Second))
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, Time: &at,
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields), Subresource: subresource,
	}
}

// What the fields of such objects look like to the API server.
var (
	appliedFields = fieldSet(`{"f:spec":{"f:allowedCIDRs":{"v:\"10.0.0.0/8\"":{}},"f:displayName":{},"f:environment":{},`,
		`"f:limitRefs":{"k:{\"name\":\"standard\"}":{".":{},"f:name":{}}},`,
		`"f:scopes":{"v:\"orders.items:create\"":{},"v:\"orders.items:read\"":{}},"f:workspaceRef":{"f:name":{}}}}`)
	statusFields = fieldSet(`{"f:status":{"f:conditions":{"k:{\"type\":\"Active\"}":{".":{},"f:lastTransitionTime":{},"f:message":{},`,
		`"f:observedGeneration":{},"f:reason":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastTransitionTime":{},`,
		`"f:message":{},"f:observedGeneration":{},"f:reason":{},"f:status":{},"f:type":{}}},"f:hint":{},"f:issuedAt":{},"f:keyID":{},`,
		`"f:observedGeneration":{},"f:secretName":{},"f:state":{}}}`)
	secretFields = fieldSet(`{"f:data":{".":{},"f:hash":{},"f:hint":{},"f:issued-at":{}},"f:metadata":{"f:annotations":{".":{},`,
		`"f:keys.claviger.dev/api-key":{},"f:keys.claviger.dev/generation":{}},"f:labels":{".":{},`,
		`"f:keys.claviger.dev/api-key-uid":{},"f:keys.claviger.dev/secret":{}}},"f:type":{}}`)
)

func fieldSet(parts ...string) string { return strings.Join(parts, "") }
