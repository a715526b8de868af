package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

func minute(namespace string) *v1alpha1.KeyLimit {
	return &v1alpha1.KeyLimit{ObjectMeta: meta(namespace, "minute"),
		Spec: v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: *hours(1)}}}}
}

func TestDeletingWhatIsNoWorkspaceIsNeverRefused(t *testing.T) {
	const ns = "deleting"
	newNamespace(t, ns)
	limited := key(ns, "k", func(s *v1alpha1.ApiKeySpec) {
		s.LimitRefs, s.ServiceAccountRef = []v1alpha1.LocalReference{ref("minute")}, &v1alpha1.LocalReference{Name: "robot"}
	})
	objects := []client.Object{minute(ns), account(ns, "robot"), limited}
	create(t, append([]client.Object{workspace(ns, "shop", v1alpha1.KeyPolicy{})}, objects...)...)
	// First what the others refer to.
	for _, object := range objects {
		if err := admin.Delete(t.Context(), object); err != nil {
			t.Error(err)
		}
	}
}

func TestAWorkspaceIsKeptWhileItHasKeys(t *testing.T) {
	const ns = "kept"
	newNamespace(t, ns)
	shop, one, two := workspace(ns, "shop", v1alpha1.KeyPolicy{}), key(ns, "one"), key(ns, "two")
	create(t, shop, workspace(ns, "empty", v1alpha1.KeyPolicy{}), one, two)

	refused := func(want string) {
		t.Helper()
		err := until(t.Context(), func() error { // how many there are, the webhook learns a moment later
			err := admin.Delete(t.Context(), shop, client.DryRunAll)
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("got %w, want %q", err, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	refused(`2 ApiKeys of Workspace "shop" would become invalid: delete them first, or set spec.deletionPolicy to Cascade`)
	if err := admin.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	refused(`1 ApiKey of Workspace "shop" would`)
	if err := admin.Delete(t.Context(), workspace(ns, "empty", v1alpha1.KeyPolicy{})); err != nil {
		t.Errorf("one without keys: %v", err)
	}
	cascading := shop.DeepCopy()
	cascading.Spec.DeletionPolicy = v1alpha1.WorkspaceCascade
	if err := admin.Update(t.Context(), cascading); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), cascading, client.DryRunAll); err != nil {
		t.Errorf("with Cascade: %v", err)
	}
	cascading.Spec.DeletionPolicy = v1alpha1.WorkspaceRefuse
	if err := errors.Join(admin.Update(t.Context(), cascading), admin.Delete(t.Context(), two)); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), func() error { return admin.Delete(t.Context(), shop) }); err != nil {
		t.Errorf("after its keys: %v", err)
	}
}

func TestANamespaceTakesItsWorkspacesAlong(t *testing.T) {
	const ns = "going"
	newNamespace(t, ns)
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{}), key(ns, "k"))
	if err := admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
		t.Fatal(err)
	}
	err := until(t.Context(), func() error {
		var left v1alpha1.WorkspaceList
		if err := admin.List(t.Context(), &left, client.InNamespace(ns)); err != nil {
			return err
		}
		if len(left.Items) > 0 {
			return errors.New("the workspace is still there")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What takes away goes on while nobody answers as the webhook, and what gives waits.
func TestStoppingWaitsForNoWebhook(t *testing.T) {
	const ns = "away"
	newNamespace(t, ns)
	shop, robot := workspace(ns, "shop", v1alpha1.KeyPolicy{}), account(ns, "robot")
	create(t, shop, robot, key(ns, "revoked"), key(ns, "disabled"), key(ns, "forged"))
	unplug(t)

	change := func(name string, change func(*v1alpha1.ApiKey)) error {
		var k v1alpha1.ApiKey
		if err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, &k); err != nil {
			return err
		}
		change(&k)
		return admin.Update(t.Context(), &k)
	}
	set := func(state v1alpha1.KeyState) func(*v1alpha1.ApiKey) {
		return func(k *v1alpha1.ApiKey) { k.Spec.State = state }
	}
	forge := func(state v1alpha1.KeyState) func(*v1alpha1.ApiKey) {
		return func(k *v1alpha1.ApiKey) {
			k.Spec.State, k.Annotations[v1alpha1.AnnotationCreatedBy] = state, "somebody-else"
		}
	}
	shop.Spec.Suspended, robot.Spec.Suspended = true, true
	for what, err := range map[string]error{
		"revoking":                 change("revoked", set(v1alpha1.KeyRevoked)),
		"disabling":                change("disabled", set(v1alpha1.KeyDisabled)),
		"suspending a workspace":   admin.Update(t.Context(), shop),
		"suspending an account":    admin.Update(t.Context(), robot),
		"changing what is revoked": change("revoked", func(k *v1alpha1.ApiKey) { k.Labels = map[string]string{"a": "b"} }),
		"deleting a key":           admin.Delete(t.Context(), key(ns, "disabled")),
		"deleting a workspace":     admin.Delete(t.Context(), shop),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"creating a key":                    admin.Create(t.Context(), key(ns, "new")),
		"renaming a key":                    change("forged", func(k *v1alpha1.ApiKey) { k.Spec.DisplayName = "renamed" }),
		"revoking in somebody else's name":  change("forged", forge(v1alpha1.KeyRevoked)),
		"disabling in somebody else's name": change("forged", forge(v1alpha1.KeyDisabled)),
	} {
		if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "failed calling webhook") {
			t.Errorf("%s did not wait for the webhook: %v", what, err)
		}
	}
}

// unplug has the API server ask where nobody listens, until the test ends.
func unplug(t *testing.T) {
	t.Helper()
	before, err := readConfigurations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	probe := func(ctx context.Context) error { return admin.Create(ctx, key("default", "probe"), client.DryRunAll) }
	point := func(ctx context.Context, url func(i int) *string) error {
		return until(ctx, func() error { // the operators write, too
			c, err := readConfigurations(ctx)
			if err != nil {
				return err
			}
			for i, at := range c.clients() {
				at.URL = url(i)
			}
			return c.update(ctx)
		})
	}
	t.Cleanup(func() {
		ctx := context.Background()
		back := point(ctx, func(i int) *string { return before.clients()[i].URL })
		if err := errors.Join(back, until(ctx, func() error { return probe(ctx) })); err != nil {
			t.Error(err)
		}
	})
	nowhere := "https://localhost:1/"
	if err := point(t.Context(), func(int) *string { return &nowhere }); err != nil {
		t.Fatal(err)
	}
	err = until(t.Context(), func() error {
		if probe(t.Context()) == nil {
			return errors.New("the webhook is still asked")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
