// Package v1alpha1 holds the kinds of the API group keys.claviger.dev: Workspace,
// ApiKey, ServiceAccount and KeyLimit. All are namespaced, and a reference from one
// to another stays within its namespace, so that Kubernetes RBAC on the namespace is
// the tenancy.
//
// +kubebuilder:object:generate=true
// +groupName=keys.claviger.dev
package v1alpha1
