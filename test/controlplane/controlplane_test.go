package controlplane_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

// Only how long a broken test takes: none of them measures time.
const patience = time.Minute

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	var err error
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := plane.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestServesClavigersKinds(t *testing.T) {
	ctx, admin := t.Context(), clientFor(t, plane.Config)
	key := apiKey("default", "served")
	if err := admin.Create(ctx, key); err != nil {
		t.Fatal(err)
	}
	if key.Spec.State != v1alpha1.KeyActive || key.Spec.Environment != v1alpha1.EnvironmentLive {
		t.Errorf("the schema's defaults were not set: state %q, environment %q", key.Spec.State, key.Spec.Environment)
	}
	key.Spec.WorkspaceRef.Name = "another"
	if err := admin.Update(ctx, key); !apierrors.IsInvalid(err) {
		t.Errorf("changing an immutable field was answered with %v, want Invalid", err)
	}
}

func TestCollectsWhatADeletedObjectOwned(t *testing.T) {
	ctx, admin := t.Context(), clientFor(t, plane.Config)
	key := apiKey("default", "owner")
	if err := admin.Create(ctx, key); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owned"}}
	if err := controllerutil.SetControllerReference(key, secret, admin.Scheme()); err != nil {
		t.Fatal(err)
	}
	if err := admin.Create(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	waitUntilGone(t, admin, secret)
}

func TestDeletesNamespaces(t *testing.T) {
	ctx, admin := t.Context(), clientFor(t, plane.Config)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
	if err := admin.Create(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	key := apiKey(namespace.Name, "within")
	if err := admin.Create(ctx, key); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	waitUntilGone(t, admin, namespace)
	waitUntilGone(t, admin, key)
}

func TestGivesAServiceAccountNoMoreThanItsRoles(t *testing.T) {
	config, err := plane.ServiceAccountConfig("default", "default")
	if err != nil {
		t.Fatal(err)
	}
	var secrets corev1.SecretList
	if err := clientFor(t, config).List(t.Context(), &secrets); !apierrors.IsForbidden(err) {
		t.Errorf("an account without roles listing secrets was answered with %v, want Forbidden", err)
	}
}

func TestComesBackWithItsData(t *testing.T) {
	ctx, admin := t.Context(), clientFor(t, plane.Config)
	if err := admin.Create(ctx, apiKey("default", "survivor")); err != nil {
		t.Fatal(err)
	}
	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	var key v1alpha1.ApiKey
	name := client.ObjectKey{Namespace: "default", Name: "survivor"}
	if err := admin.Get(ctx, name, &key); err == nil {
		t.Error("the API server was stopped and still answers")
	}
	if err := plane.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Get(ctx, name, &key); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestRunsKubectl(t *testing.T) {
	out, err := plane.RunKubectl(t.Context(), nil, "get", "namespace", "default", "-o=name")
	if err != nil || string(out) != "namespace/default\n" {
		t.Errorf("kubectl printed %q, error %v", out, err)
	}
}

func apiKey(namespace, name string) *v1alpha1.ApiKey {
	return &v1alpha1.ApiKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ApiKeySpec{WorkspaceRef: v1alpha1.LocalReference{Name: "acme"}},
	}
}

func clientFor(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func waitUntilGone(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	name := client.ObjectKeyFromObject(object)
	for {
		err := c.Get(ctx, name, object)
		if apierrors.IsNotFound(err) {
			return
		}
		if err != nil {
			t.Fatalf("%T %s is still there: %v", object, name, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
