package gitops_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/claviger-dev/claviger/controllers/status"
)

// owners are the fields of an object by who owns them; of the status, "manager/status".
func owners(t *testing.T, o *unstructured.Unstructured) map[string][]string {
	t.Helper()
	fields := map[string][]string{}
	for _, entry := range o.GetManagedFields() {
		var set fieldpath.Set
		if err := set.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			t.Fatal(err)
		}
		name := entry.Manager
		if entry.Subresource != "" {
			name += "/" + entry.Subresource
		}
		set.Leaves().Iterate(func(path fieldpath.Path) { fields[name] = append(fields[name], path.String()) })
		slices.Sort(fields[name])
	}
	return fields
}

// Git has the key, a person names it, and the operator tells how it is: nobody takes a field of another's.
func TestManagersKeepToTheirFields(t *testing.T) {
	own, team := newNamespace(t, "operator"), newNamespace(t, "team")
	o := start(t, clock.RealClock{}, nil, own, team)
	const git = `
apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
---
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: it, labels: {team: web}}
spec: {workspaceRef: {name: shop}, scopes: [read], ttl: 24h}
`
	const person = `
apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: it}
spec: {displayName: The key}
`
	apply(t, team, "gitops", git)
	await(t, team, "ApiKey", "it", "Reconciled", "Active")
	apply(t, team, "person", person)
	apply(t, team, "gitops", git)
	o.quiet(t)

	key := get(t, team, "ApiKey", "it")
	fields := owners(t, key)
	ofGit := []string{".metadata.labels.team", `.spec.scopes[="read"]`, ".spec.ttl", ".spec.workspaceRef.name"}
	if !slices.Equal(fields["gitops"], ofGit) {
		t.Errorf("Git owns %q, want %q", fields["gitops"], ofGit)
	}
	if !slices.Equal(fields["person"], []string{".spec.displayName"}) {
		t.Errorf("the person owns %q", fields["person"])
	}
	ofOperator := fields[status.FieldManager+"/status"]
	if len(ofOperator) == 0 || slices.ContainsFunc(ofOperator, func(path string) bool { return !strings.HasPrefix(path, ".status.") }) {
		t.Errorf("the operator owns %q", ofOperator)
	}
	if len(fields) != 3 {
		t.Errorf("the fields have other owners, too: %v", fields)
	}
	if name, _, _ := unstructured.NestedString(key.Object, "spec", "displayName"); name != "The key" {
		t.Errorf("Git took the name that the person gave: it is %q", name)
	}

	// Who wants another's field is told whose it is.
	_, err := plane.RunKubectl(t.Context(), []byte(strings.Replace(person, "displayName: The key", "ttl: 48h", 1)),
		"apply", "-n", team, "-f", "-", "--server-side", "--field-manager=person")
	if err == nil || !strings.Contains(err.Error(), `conflict with "gitops"`) {
		t.Errorf("somebody else changes what Git has: %v", err)
	}
	// What Git gives up goes, and nothing else.
	apply(t, team, "gitops", strings.Replace(git, ", ttl: 24h", "", 1))
	o.quiet(t)
	key = get(t, team, "ApiKey", "it")
	if _, found, _ := unstructured.NestedString(key.Object, "spec", "ttl"); found {
		t.Error("what Git gave up is still there")
	}
	if fields := owners(t, key); !slices.Equal(fields["person"], []string{".spec.displayName"}) || len(fields) != 3 {
		t.Errorf("the fields are now owned so: %v", fields)
	}
}

// versions are the resource versions of all the settled objects.
func versions(t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, s := range settled {
		o := get(t, namespace, s.kind, s.name)
		found[s.kind+" "+s.name] = o.GetResourceVersion()
	}
	return found
}

func same(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s changed %s", what, name)
		}
	}
}

func TestApplyingTheSameAgainChangesNothing(t *testing.T) {
	for _, way := range []struct {
		name string
		args []string
	}{
		{"server-side apply", []string{"--server-side", "--field-manager=gitops"}},
		{"client-side apply", nil},
	} {
		t.Run(way.name, func(t *testing.T) {
			own, team := newNamespace(t, "operator"), newNamespace(t, "team")
			again := func() {
				t.Helper()
				args := append([]string{"apply", "-n", team, "-f", "-"}, way.args...)
				if out, err := plane.RunKubectl(t.Context(), []byte(manifests+"---"+tooMany), args...); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			again()
			// Where it comes before the operator, the first of those may store the status that the CRDs give to what
			// has none; then there is nothing left to change.
			again()
			untouched := versions(t, team)
			again()
			same(t, "before the operator came, another "+way.name, untouched, versions(t, team))

			o := start(t, clock.RealClock{}, nil, own, team)
			for _, s := range settled {
				// Which of the two gets the one place is not said.
				if s.name != "first" && s.name != "second" {
					await(t, team, s.kind, s.name, s.ready, s.active)
				}
			}
			o.quiet(t)
			before, writes := versions(t, team), len(o.written())
			again()
			same(t, "a second "+way.name, before, versions(t, team))
			o.quiet(t)
			if after := o.written(); len(after) != writes {
				t.Errorf("the second %s had the operator write %q", way.name, after[writes:])
			}
			for _, s := range settled {
				if o := get(t, team, s.kind, s.name); o.GetGeneration() != 1 {
					t.Errorf("%s %s is of generation %d, though nobody changed its spec", s.kind, s.name, o.GetGeneration())
				}
			}
		})
	}
}

// A tool that puts back what Git says cannot let a revoked key work again: it is told so, and the key stays as it is.
func TestGitDoesNotUndoARevocation(t *testing.T) {
	team := newNamespace(t, "team")
	const active = "apiVersion: keys.claviger.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: it}\nspec: {workspaceRef: {name: shop}}\n"
	apply(t, team, "gitops", active)
	apply(t, team, "gitops", strings.Replace(active, "}}", "}, state: Revoked}", 1))
	for _, args := range [][]string{{"--server-side", "--field-manager=gitops"}, {"--server-side", "--field-manager=gitops", "--force-conflicts"}} {
		_, err := plane.RunKubectl(t.Context(), []byte(active), append([]string{"apply", "-n", team, "-f", "-"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), "a revoked key stays revoked") {
			t.Errorf("apply %q answers %v", args, err)
		}
	}
	if state, _, _ := unstructured.NestedString(get(t, team, "ApiKey", "it").Object, "spec", "state"); state != "Revoked" {
		t.Errorf("the key is %s", state)
	}
}
