package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "keys.claviger.dev", Version: "v1alpha1"}

// AddToScheme teaches a scheme the kinds of this package.
var AddToScheme = schemeBuilder.AddToScheme

var schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Workspace{}, &WorkspaceList{},
		&ApiKey{}, &ApiKeyList{},
		&ServiceAccount{}, &ServiceAccountList{},
		&KeyLimit{}, &KeyLimitList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
