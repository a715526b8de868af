package cel

import (
	"context"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A change puts a value at a path; nil removes what stands there.
type change struct {
	path  string
	value any
}

// A rule in CEL, known by its message, and what it refuses and what not.
type rule struct {
	kind, message string
	// field is where the API server is to show the fault.
	field   string
	refused []change
	allowed []change
}

const resourceForm = "must be visible ASCII characters without spaces, with a * nowhere but at the end: property/4711 or property/*"

// What a resource may look like, wherever one is named.
var (
	noResources = []change{{"spec.grants.0.resource", "a b"}, {"spec.grants.0.resource", "a\n"}, {"spec.grants.0.resource", "é"},
		{"spec.grants.0.resource", "**"}, {"spec.grants.0.resource", "*a"}, {"spec.grants.0.resource", "property/*/room"}}
	resources = []change{{"spec.grants.0.resource", "*"}, {"spec.grants.0.resource", "property/4711"}, {"spec.grants.0.resource", "!~"},
		{"spec.grants.0.resource", strings.Repeat("a", 256)}, {"spec.grants.0.scopes", nil}, {"spec.grants.0.scopes", []any{}}}
)

// The rules that look at one object.
var rules = []rule{
	{"apikey", resourceForm, "spec.grants[0].resource", noResources, resources},
	{"serviceaccount", resourceForm, "spec.grants[0].resource", noResources, resources},
	{"apikey", "set expiresAt or ttl, not both", "spec",
		[]change{{"spec.expiresAt", "2099-01-01T00:00:00Z"}},
		[]change{{"spec.ttl", nil}}},
	{"apikey", "must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z", "spec.expiresAt",
		[]change{{"spec.expiresAt", "0001-01-01T00:00:00Z"}, {"spec.expiresAt", "1969-12-31T23:59:59Z"}, {"spec.expiresAt", "9999-01-01T00:00:00Z"}},
		nil},
	{"apikey", "must be at least 1s, in hours, minutes and seconds: 2160h is 90 days", "spec.ttl",
		[]change{{"spec.ttl", "90d"}, {"spec.ttl", "999ms"}, {"spec.ttl", "-1h"}, {"spec.ttl", "0s"}},
		[]change{{"spec.ttl", "1s"}, {"spec.ttl", "87600h"}}},
	{"apikey", "must be a network such as 10.0.0.0/8 or 2001:db8::/32", "spec.allowedCIDRs[0]",
		[]change{{"spec.allowedCIDRs.0", "office"}, {"spec.allowedCIDRs.0", "10.0.0.1"}, {"spec.allowedCIDRs.0", "10.0.0.0/33"}},
		[]change{{"spec.allowedCIDRs.0", "2001:db8::/32"}, {"spec.allowedCIDRs.0", "0.0.0.0/0"}}},
	{"apikey", "labels under keys.claviger.dev/ are Claviger's own", "spec.delivery.labels",
		[]change{{"spec.delivery.labels", map[string]any{"keys.claviger.dev/secret": "hashed"}}},
		[]change{{"spec.delivery.labels", map[string]any{"example.com/secret": "hashed"}}}},
	{"apikey", "annotations under keys.claviger.dev/ are Claviger's own", "spec.delivery.annotations",
		[]change{{"spec.delivery.annotations", map[string]any{"keys.claviger.dev/generation": "1"}}},
		[]change{{"spec.delivery.annotations", map[string]any{"example.com/generation": "1"}}}},
	{"workspace", "a catalogue entry names one scope and has no wildcards", "spec.scopes[0].name",
		[]change{{"spec.scopes.0.name", "orders:*"}, {"spec.scopes.0.name", "**"}},
		[]change{{"spec.scopes.0.name", "orders"}}},
	{"workspace", "must be at least 1s, in hours, minutes and seconds: 2160h is 90 days", "spec.keys.defaultTTL",
		[]change{{"spec.keys.defaultTTL", "0s"}}, []change{{"spec.keys.defaultTTL", "1s"}}},
	{"workspace", "must be at least 1s, in hours, minutes and seconds: 2160h is 90 days", "spec.keys.maxTTL",
		[]change{{"spec.keys.maxTTL", "30d"}, {"spec.keys.maxTTL", "1ms"}}, []change{{"spec.keys.maxTTL", "720h"}}},
	{"workspace", "defaultTTL must not be longer than maxTTL", "spec.keys",
		[]change{{"spec.keys.maxTTL", "719h"}, {"spec.keys.defaultTTL", "8760h1s"}},
		[]change{{"spec.keys.maxTTL", nil}, {"spec.keys.defaultTTL", nil}, {"spec.keys.defaultTTL", "8760h"}}},
	{"keylimit", "must be from 1s to 744h, in hours, minutes and seconds: 24h is a day", "spec.rates[0].per",
		[]change{{"spec.rates.0.per", "1d"}, {"spec.rates.0.per", "999ms"}, {"spec.rates.0.per", "745h"}},
		[]change{{"spec.rates.0.per", "1s"}, {"spec.rates.0.per", "744h"}}},
	{"keylimit", "state rates, quota or concurrency; to turn the limit off, set enabled: false", "spec",
		[]change{{"spec", map[string]any{}}, {"spec", map[string]any{"rates": []any{}}}},
		[]change{{"spec.rates", nil}, {"spec.quota", nil}, {"spec.concurrency", nil}, {"spec", map[string]any{"concurrency": map[string]any{"requests": int64(1)}}}}},
	{"keylimit", "state requests, spendMicrocents or both", "spec.quota",
		[]change{{"spec.quota", map[string]any{"resetPeriod": "Daily"}}},
		[]change{{"spec.quota.requests", nil}, {"spec.quota.spendMicrocents", nil}}},
	{"keylimit", "anchorDay is a day of the month (1 to 31) with Monthly, a day of the week (1 is Monday, 7 is Sunday) with Weekly, and must be left out with Daily", "spec.quota",
		[]change{{"spec.quota.resetPeriod", "Daily"}, {"spec.quota.resetPeriod", "Weekly"}},
		[]change{{"spec.quota.resetPeriod", nil}, {"spec.quota", map[string]any{"requests": int64(1), "resetPeriod": "Daily"}},
			{"spec.quota", map[string]any{"requests": int64(1), "resetPeriod": "Weekly", "anchorDay": int64(7)}}}},
	{"keylimit", "must be from 1s to 24h, in hours, minutes and seconds", "spec.concurrency.timeout",
		[]change{{"spec.concurrency.timeout", "1d"}, {"spec.concurrency.timeout", "999ms"}, {"spec.concurrency.timeout", "25h"}},
		[]change{{"spec.concurrency.timeout", "1s"}, {"spec.concurrency.timeout", "24h"}, {"spec.concurrency.timeout", nil}}},
}

// The rules that compare an object with what it was.
var transitions = []rule{
	{"apikey", "workspaceRef cannot be changed: create another ApiKey", "spec.workspaceRef",
		[]change{{"spec.workspaceRef.name", "bank"}}, nil},
	{"apikey", "serviceAccountRef cannot be changed: create another ApiKey", "spec.serviceAccountRef",
		[]change{{"spec.serviceAccountRef.name", "other"}, {"spec.serviceAccountRef", nil}}, nil},
	{"apikey", "prefix cannot be changed: it is part of the key; create another ApiKey", "spec.prefix",
		[]change{{"spec.prefix", "vk"}, {"spec.prefix", nil}}, nil},
	{"apikey", "environment cannot be changed: it is part of the key; create another ApiKey", "spec.environment",
		[]change{{"spec.environment", "test"}},
		[]change{{"spec.environment", nil}}}, // the default is what it is
	{"apikey", "secretName cannot be changed: those who use the key know it by this name; create another ApiKey", "spec.delivery.secretName",
		[]change{{"spec.delivery.secretName", "other"}, {"spec.delivery.secretName", nil}, {"spec.delivery", nil}},
		[]change{{"spec.delivery.labels", nil}, {"spec.delivery.onLoss", "Fail"}}},
	{"serviceaccount", "workspaceRef cannot be changed: create another ServiceAccount", "spec.workspaceRef",
		[]change{{"spec.workspaceRef.name", "bank"}}, nil},
}

const revokedStays = "a revoked key stays revoked: create another ApiKey"

func TestRules(t *testing.T) {
	for _, r := range rules {
		t.Run(r.kind+"/"+r.message+" at "+r.field, func(t *testing.T) {
			for _, c := range r.refused {
				object := with(full(t, r.kind), c.path, c.value)
				requireFault(t, r, c, tryCreate(object))
				requireAlsoInvalid(t, object, c.path, c.value)
			}
			for _, c := range r.allowed {
				object := with(full(t, r.kind), c.path, c.value)
				if err := tryCreate(object); err != nil {
					t.Errorf("%s = %v is refused: %v", c.path, c.value, err)
				}
				requireAlsoValid(t, object)
			}
		})
	}
}

func TestTransitions(t *testing.T) {
	for _, r := range transitions {
		t.Run(r.kind+"/"+r.message, func(t *testing.T) {
			stored := create(t, full(t, r.kind))
			for _, c := range r.refused {
				requireFault(t, r, c, tryUpdate(with(stored, c.path, c.value)))
			}
			for _, c := range append(r.allowed, change{"spec.displayName", "renamed"}, change{"spec.displayName", nil}) {
				if err := tryUpdate(with(stored, c.path, c.value)); err != nil {
					t.Errorf("changing %s to %v is refused: %v", c.path, c.value, err)
				}
			}
		})
	}
}

// What was left out may not be added either, where it is part of what was made.
func TestTransitionsFromNothing(t *testing.T) {
	bare := with(full(t, "apikey"), "spec", map[string]any{"workspaceRef": map[string]any{"name": "shop"}})
	stored := create(t, bare)
	for _, c := range []change{
		{"spec.serviceAccountRef", map[string]any{"name": "robot"}},
		{"spec.prefix", "vk"},
		{"spec.delivery.secretName", "other"},
	} {
		i := slices.IndexFunc(transitions, func(r rule) bool { return r.kind == "apikey" && r.field == c.path })
		requireFault(t, transitions[i], c, tryUpdate(with(stored, c.path, c.value)))
	}
}

func TestRevokedStays(t *testing.T) {
	final := rule{kind: "apikey", message: revokedStays, field: "spec.state"}
	stored := create(t, full(t, "apikey"))
	for _, state := range []string{"Disabled", "Active", "Revoked"} {
		stored = update(t, with(stored, "spec.state", state))
	}
	for _, c := range []change{{"spec.state", "Active"}, {"spec.state", "Disabled"}, {"spec.state", nil}} {
		requireFault(t, final, c, tryUpdate(with(stored, c.path, c.value)))
	}
	if err := tryUpdate(with(stored, "spec.displayName", "renamed")); err != nil {
		t.Errorf("renaming a revoked key is refused: %v", err)
	}
}

// A rule that nobody tests is found by its message.
func TestEveryRuleHasATest(t *testing.T) {
	tested := map[string]bool{"apikey: " + revokedStays: true}
	for _, r := range slices.Concat(rules, transitions) {
		tested[r.kind+": "+r.message] = true
	}
	for _, kind := range kinds {
		walk(t, schema(t, kind), "", func(t *testing.T, s apiextensionsv1.JSONSchemaProps, _ string) {
			for _, v := range s.XValidations {
				if !tested[kind+": "+v.Message] {
					t.Errorf("no test for the rule %q of %s", v.Message, kind)
				}
			}
		})
	}
}

func requireFault(t *testing.T, r rule, c change, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s = %v is not refused", c.path, c.value)
		return
	}
	for _, cause := range causes(t, err) {
		if cause.Field == r.field && strings.Contains(cause.Message, r.message) {
			return
		}
	}
	t.Errorf("%s = %v is refused without saying %q at %s: %v", c.path, c.value, r.message, r.field, err)
}

func create(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if err := api.Create(context.Background(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
	return object
}

func update(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if err := api.Update(context.Background(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func tryUpdate(object *unstructured.Unstructured) error {
	return api.Update(context.Background(), object.DeepCopy(), client.DryRunAll)
}
