// Package fieldindex names the indexes of the operator's cache beside the functions that
// fill them, so that controllers and webhook ask for the same ones without knowing each other.
//
// Use them with client.MatchingFields, always together with client.InNamespace: references
// stay within a namespace, and a name alone says nothing. ApiKeyUID and KeyLimitUID are the exceptions.
package fieldindex

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// The indexes over ApiKeys.
const (
	// ApiKeyWorkspace finds the keys of a Workspace by its name.
	ApiKeyWorkspace = "spec.workspaceRef.name"
	// ApiKeyServiceAccount finds the keys of a ServiceAccount by its name.
	ApiKeyServiceAccount = "spec.serviceAccountRef.name"
	// ApiKeyLimit finds the keys that refer to a KeyLimit by its name.
	ApiKeyLimit = "spec.limitRefs.name"
	// ApiKeySecret finds the keys that are to be delivered into a Secret by its name,
	// written in the spec or not.
	ApiKeySecret = "spec.delivery.secretName"
	// ApiKeyUser finds the personal tokens of a user by the ID in their entity, whose kind is User.
	ApiKeyUser = "spec.entity.id"
	// ApiKeyUID finds the one key with a key ID, in whatever namespace it is.
	ApiKeyUID = "metadata.uid"
)

// The indexes over ServiceAccounts.
const (
	// ServiceAccountWorkspace finds the accounts of a Workspace by its name.
	ServiceAccountWorkspace = "spec.workspaceRef.name"
	// ServiceAccountLimit finds the accounts that refer to a KeyLimit by its name.
	ServiceAccountLimit = "spec.limitRefs.name"
)

// WorkspaceLimit finds the Workspaces that refer to a KeyLimit by its name.
const WorkspaceLimit = "spec.limitRefs.name"

// KeyLimitUID finds the one KeyLimit with a UID, in whatever namespace it is.
const KeyLimitUID = "metadata.uid"

type index struct {
	object  client.Object
	field   string
	extract client.IndexerFunc
}

var indexes = []index{
	{&v1alpha1.ApiKey{}, ApiKeyWorkspace, apiKeyWorkspace},
	{&v1alpha1.ApiKey{}, ApiKeyServiceAccount, apiKeyServiceAccount},
	{&v1alpha1.ApiKey{}, ApiKeyLimit, apiKeyLimits},
	{&v1alpha1.ApiKey{}, ApiKeySecret, apiKeySecret},
	{&v1alpha1.ApiKey{}, ApiKeyUser, apiKeyUser},
	{&v1alpha1.ApiKey{}, ApiKeyUID, uid},
	{&v1alpha1.ServiceAccount{}, ServiceAccountWorkspace, serviceAccountWorkspace},
	{&v1alpha1.ServiceAccount{}, ServiceAccountLimit, serviceAccountLimits},
	{&v1alpha1.Workspace{}, WorkspaceLimit, workspaceLimits},
	{&v1alpha1.KeyLimit{}, KeyLimitUID, uid},
}

// Register adds every index. Call it once for a cache, before it starts.
func Register(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range indexes {
		if err := indexer.IndexField(ctx, i.object, i.field, i.extract); err != nil {
			return fmt.Errorf("cannot index %s of %T (was it registered before?): %w", i.field, i.object, err)
		}
	}
	return nil
}

func apiKeyWorkspace(o client.Object) []string {
	return []string{o.(*v1alpha1.ApiKey).Spec.WorkspaceRef.Name}
}

func apiKeyServiceAccount(o client.Object) []string {
	if ref := o.(*v1alpha1.ApiKey).Spec.ServiceAccountRef; ref != nil {
		return []string{ref.Name}
	}
	return nil
}

func apiKeyLimits(o client.Object) []string {
	return names(o.(*v1alpha1.ApiKey).Spec.LimitRefs)
}

func apiKeySecret(o client.Object) []string {
	return []string{o.(*v1alpha1.ApiKey).SecretName()}
}

func apiKeyUser(o client.Object) []string {
	if e := o.(*v1alpha1.ApiKey).Spec.Entity; e != nil && e.Kind == v1alpha1.EntityUser {
		return []string{string(e.ID)}
	}
	return nil
}

func uid(o client.Object) []string {
	return []string{string(o.GetUID())}
}

func serviceAccountWorkspace(o client.Object) []string {
	return []string{o.(*v1alpha1.ServiceAccount).Spec.WorkspaceRef.Name}
}

func serviceAccountLimits(o client.Object) []string {
	return names(o.(*v1alpha1.ServiceAccount).Spec.LimitRefs)
}

func workspaceLimits(o client.Object) []string {
	return names(o.(*v1alpha1.Workspace).AllLimitRefs())
}

func names(refs []v1alpha1.LocalReference) []string {
	list := make([]string, 0, len(refs))
	for _, ref := range refs {
		list = append(list, ref.Name)
	}
	return list
}
