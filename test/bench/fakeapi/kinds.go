package fakeapi

import (
	"path"
	"reflect"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// kind is what is served at one path.
type kind struct {
	path    string
	version schema.GroupVersion
	kind    string
	example client.Object
	// native is the format clients prefer, in which objects are kept.
	native format
}

func (k kind) name() string { return path.Base(k.path) }

func (k kind) is(o client.Object) bool { return reflect.TypeOf(o) == reflect.TypeOf(k.example) }

const group = "/apis/keys.claviger.dev/v1alpha1/"

// Custom resources are only to be had as JSON.
var kinds = []kind{
	{group + "workspaces", v1alpha1.GroupVersion, "Workspace", &v1alpha1.Workspace{}, jsonFormat{}},
	{group + "serviceaccounts", v1alpha1.GroupVersion, "ServiceAccount", &v1alpha1.ServiceAccount{}, jsonFormat{}},
	{group + "keylimits", v1alpha1.GroupVersion, "KeyLimit", &v1alpha1.KeyLimit{}, jsonFormat{}},
	{group + "apikeys", v1alpha1.GroupVersion, "ApiKey", &v1alpha1.ApiKey{}, jsonFormat{}},
	{"/api/v1/namespaces/" + Namespace + "/secrets", corev1.SchemeGroupVersion, "Secret", &corev1.Secret{}, protobufFormat{}},
}

func versionText(version uint64) string { return strconv.FormatUint(version, 10) }
