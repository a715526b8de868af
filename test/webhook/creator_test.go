package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

const creatorField = "metadata.annotations[keys.claviger.dev/created-by]"

func creator(t *testing.T, k client.Object) string {
	t.Helper()
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(k), k); err != nil {
		t.Fatal(err)
	}
	return k.GetAnnotations()[v1alpha1.AnnotationCreatedBy]
}

func TestWhoCreatesAKeyIsNotedWhateverWasSent(t *testing.T) {
	const ns = "creators"
	newNamespace(t, ns)
	bind(t, ns, "claviger-key-admin", "jane")
	jane := as(t, "jane")
	forged := key(ns, "forged")
	forged.Annotations = map[string]string{v1alpha1.AnnotationCreatedBy: "system:admin", "note": "stays"}
	revoked := key(ns, "revoked", func(s *v1alpha1.ApiKeySpec) { s.State = v1alpha1.KeyRevoked })
	revoked.Annotations = map[string]string{v1alpha1.AnnotationCreatedBy: "system:admin"}
	for _, k := range []*v1alpha1.ApiKey{key(ns, "plain"), forged, revoked} {
		if err := until(t.Context(), func() error { return client.IgnoreAlreadyExists(jane.Create(t.Context(), k)) }); err != nil {
			t.Fatal(err)
		}
		if got := creator(t, k); got != "jane" {
			t.Errorf("%s was created by %q", k.Name, got)
		}
	}
	if creator(t, forged); forged.Annotations["note"] != "stays" {
		t.Error("another annotation was lost")
	}
	if err := admin.Create(t.Context(), key(ns, "admins")); err != nil {
		t.Fatal(err)
	}
	if got := creator(t, key(ns, "admins")); got == "jane" || got == "" {
		t.Errorf("an administrator's key was created by %q", got)
	}
}

// What people apply is stored as they wrote it.
func TestNothingElseOfANewKeyIsRewritten(t *testing.T) {
	const ns = "verbatim"
	newNamespace(t, ns)
	k := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "keys.claviger.dev/v1alpha1", "kind": "ApiKey",
		"metadata": map[string]any{"namespace": ns, "name": "k"},
		"spec": map[string]any{
			"workspaceRef": map[string]any{"name": "shop"}, "ttl": "720h", "metadata": map[string]any{"empty": ""},
			"rotation": map[string]any{"every": "24h"}, "limitRefs": []any{},
		},
	}}
	if err := admin.Create(t.Context(), k.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	stored := k.DeepCopy()
	creator(t, stored)
	for _, path := range [][]string{{"spec", "ttl"}, {"spec", "metadata"}, {"spec", "rotation"}, {"spec", "limitRefs"}} {
		sent, _, _ := unstructured.NestedFieldNoCopy(k.Object, path...)
		got, _, _ := unstructured.NestedFieldNoCopy(stored.Object, path...)
		if text(t, sent) != text(t, got) {
			t.Errorf("%s was sent as %v and stored as %v", strings.Join(path, "."), sent, got)
		}
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestWhoCreatedAKeyIsNotChanged(t *testing.T) {
	const ns = "created"
	newNamespace(t, ns)
	create(t, key(ns, "k"))
	var k v1alpha1.ApiKey
	k.Namespace, k.Name = ns, "k"
	was := creator(t, &k)

	forged := k.DeepCopy()
	forged.Annotations[v1alpha1.AnnotationCreatedBy] = "somebody-else"
	for _, state := range []v1alpha1.KeyState{v1alpha1.KeyActive, v1alpha1.KeyDisabled, v1alpha1.KeyRevoked} {
		forged.Spec.State = state
		if err := fault(admin.Update(t.Context(), forged, client.DryRunAll), creatorField, "admission wrote who created the key"); err != nil {
			t.Errorf("with state %s: %v", state, err)
		}
	}
	// As kubectl replace does.
	replaced := k.DeepCopy()
	replaced.Annotations, replaced.Spec.DisplayName = nil, "renamed"
	if err := admin.Update(t.Context(), replaced); err != nil {
		t.Fatalf("replacing it without the annotation: %v", err)
	}
	if got := creator(t, &k); got != was {
		t.Errorf("it was created by %q, and now by %q", was, got)
	}
	replaced = k.DeepCopy()
	replaced.Annotations, replaced.Spec.State = nil, v1alpha1.KeyRevoked
	if err := admin.Update(t.Context(), replaced); err != nil {
		t.Fatalf("revoking it without the annotation: %v", err)
	}
	if got := creator(t, &k); got != was {
		t.Errorf("after revoking it was created by %q", got)
	}
}

// A key from before there was such an annotation stays without, since nobody knows.
func TestNobodySaysAfterwardsWhoCreatedAKey(t *testing.T) {
	const ns = "unknown"
	newNamespace(t, ns)
	unplugMutating(t)
	create(t, key(ns, "old"))
	say := func(value string) error {
		patch := `{"metadata":{"annotations":{"keys.claviger.dev/created-by":"` + value + `","note":"` + value + `"}}}`
		return admin.Patch(t.Context(), key(ns, "old"), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	if got := creator(t, key(ns, "old")); got != "" {
		t.Fatalf("it was created by %q", got)
	}
	if err := fault(say("jane"), creatorField, "nobody changes it"); err != nil {
		t.Error(err)
	}
	if err := admin.Patch(t.Context(), key(ns, "old"), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"displayName":"renamed"}}`))); err != nil {
		t.Errorf("renaming it: %v", err)
	}
	// And without the one that writes it, the one that checks refuses what is forged.
	forged := key(ns, "forged")
	forged.Annotations = map[string]string{v1alpha1.AnnotationCreatedBy: "system:nobody"}
	if err := fault(admin.Create(t.Context(), forged), creatorField, "leave it out"); err != nil {
		t.Error(err)
	}
}

// unplugMutating takes the mutating webhook away until the test ends.
func unplugMutating(t *testing.T) {
	t.Helper()
	c, err := readConfigurations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), &c.mutating); err != nil {
		t.Fatal(err)
	}
	noted := func(ctx context.Context) bool {
		probe := key("default", "probe")
		err := admin.Create(ctx, probe, client.DryRunAll)
		return err == nil && probe.Annotations[v1alpha1.AnnotationCreatedBy] != ""
	}
	wait := func(ctx context.Context, want bool) error {
		return until(ctx, func() error {
			if noted(ctx) != want {
				return fmt.Errorf("noted: %v", !want)
			}
			return nil
		})
	}
	t.Cleanup(func() {
		ctx := context.Background()
		c.mutating.ObjectMeta = meta("", c.mutating.Name)
		if err := errors.Join(admin.Create(ctx, &c.mutating), wait(ctx, true)); err != nil {
			t.Error(err)
		}
	})
	if err := wait(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

func TestPersonalTokens(t *testing.T) {
	const ns = "personal"
	newNamespace(t, ns)
	create(t, workspace(ns, "shop", v1alpha1.KeyPolicy{}), workspace(ns, "bank", v1alpha1.KeyPolicy{}))
	bind(t, ns, "claviger-key-admin", "jane", "john", "desk")
	allowEverywhere(t, "impersonate-john", rbacv1.PolicyRule{
		Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users"}, ResourceNames: []string{"john"},
	}, "desk")
	of := func(name, user string, changes ...func(*v1alpha1.ApiKeySpec)) *v1alpha1.ApiKey {
		k := key(ns, name, changes...)
		k.Spec.Entity = &v1alpha1.Entity{Kind: v1alpha1.EntityUser, ID: v1alpha1.EntityID(user)}
		return k
	}
	dry := func(user string, k *v1alpha1.ApiKey) error {
		return as(t, user).Create(t.Context(), k, client.DryRunAll)
	}
	if err := until(t.Context(), func() error { return dry("jane", of("janes", "jane")) }); err != nil {
		t.Fatalf("for herself: %v", err)
	}
	if err := until(t.Context(), func() error { return dry("desk", of("johns", "john")) }); err != nil {
		t.Fatalf("for somebody whom he may impersonate: %v", err)
	}
	if err := fault(dry("jane", of("johns", "john")), "spec.entity.id", `a personal token is made by its user, and you are "jane"`); err != nil {
		t.Error(err)
	}
	if err := fault(dry("desk", of("janes", "jane")), "spec.entity.id", `get the right to impersonate "jane"`); err != nil {
		t.Error(err)
	}

	// At most one that works, in each workspace.
	if err := as(t, "jane").Create(t.Context(), of("janes", "jane")); err != nil {
		t.Fatal(err)
	}
	err := until(t.Context(), func() error {
		return fault(dry("jane", of("another", "jane")), "spec.entity", `user "jane" has a personal token in this workspace already`)
	})
	if err != nil {
		t.Error(err)
	}
	inBank := func(s *v1alpha1.ApiKeySpec) { s.WorkspaceRef = ref("bank") }
	if err := dry("jane", of("another", "jane", inBank)); err != nil {
		t.Errorf("in another workspace: %v", err)
	}
	if err := dry("john", of("johns", "john")); err != nil {
		t.Errorf("of another user: %v", err)
	}
	agent := key(ns, "agent", func(s *v1alpha1.ApiKeySpec) { s.Entity = &v1alpha1.Entity{Kind: "Agent", ID: "jane"} })
	if err := dry("john", agent); err != nil {
		t.Errorf("of an agent of the same name: %v", err)
	}
	var k v1alpha1.ApiKey
	k.Namespace, k.Name = ns, "janes"
	creator(t, &k)
	k.Spec.State = v1alpha1.KeyRevoked
	if err := as(t, "jane").Update(t.Context(), &k); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), func() error { return dry("jane", of("another", "jane")) }); err != nil {
		t.Errorf("after the first was revoked: %v", err)
	}
	if err := dry("nobody", of("x", "nobody")); !apierrors.IsForbidden(err) {
		t.Errorf("somebody without a role: %v", err)
	}
}
