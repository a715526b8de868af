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
	// file is what in testdata is changed.
	file, message string
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

const (
	atLeastSecond = "must be at least 1s, in hours, minutes and seconds: 2160h is 90 days"
	inNoSecret    = "a sealed key is in no Secret: remove secretName, labels, annotations and existing"
	hashOfTest    = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	recipient     = "age17u2l07th6xurh6vgvyrfrsnlcg6r690uqsnu9v7uaff4ymlt8v6qv98r4v"
)

// What a duration may look like that is at least a second.
func noSeconds(path string) []change {
	return []change{{path, "1d"}, {path, "999ms"}, {path, "-1h"}, {path, "0s"}, {path, ""}}
}

// The rules that look at one object.
var rules = []rule{
	{"apikey", "overlap must be shorter than every", "spec.rotation.overlap",
		[]change{{"spec.rotation.overlap", "168h"}, {"spec.rotation.every", "24h"}},
		[]change{{"spec.rotation.every", nil}, {"spec.rotation.overlap", "167h59m59s"}}},
	{"apikey", "endWhenUnusedFor ends an overlap early: set overlap, too", "spec.rotation.overlap",
		[]change{{"spec.rotation.overlap", nil}, {"spec.rotation", map[string]any{"endWhenUnusedFor": "1h"}}},
		[]change{{"spec.rotation.endWhenUnusedFor", nil}, {"spec.rotation", map[string]any{"overlap": "1h", "endWhenUnusedFor": "1h"}}}},
	{"apikey", "keepPrevious holds for the overlap: set overlap, too", "spec.rotation.overlap",
		[]change{{"spec.rotation", map[string]any{"keepPrevious": true}}},
		[]change{{"spec.rotation", map[string]any{"keepPrevious": false}}, {"spec.rotation", map[string]any{}}, {"spec.rotation", nil}}},
	{"apikey", "must be at least 1m, in hours, minutes and seconds: 2160h is 90 days", "spec.rotation.every",
		[]change{{"spec.rotation.every", "59s"}, {"spec.rotation.every", "7d"}, {"spec.rotation.every", "-1h"}},
		[]change{{"spec.rotation", map[string]any{"every": "1m"}}, {"spec.rotation", map[string]any{"every": "60s", "overlap": "1s"}}}},
	{"apikey", atLeastSecond, "spec.rotation.overlap", noSeconds("spec.rotation.overlap"), []change{{"spec.rotation.overlap", "1s"}}},
	{"apikey", atLeastSecond, "spec.rotation.endWhenUnusedFor", noSeconds("spec.rotation.endWhenUnusedFor"), []change{{"spec.rotation.endWhenUnusedFor", "1s"}}},
	{"apikey", "rotation.every must be shorter than ttl: the key would end before it is rotated", "spec.rotation.every",
		[]change{{"spec.ttl", "168h"}, {"spec.rotation.every", "720h"}}, []change{{"spec.ttl", "168h1s"}}},
	{"apikey", "type Sealed, and it alone, needs recipients", "spec.delivery.recipients",
		[]change{{"spec.delivery", map[string]any{"type": "Sealed"}}, {"spec.delivery", map[string]any{"type": "Sealed", "recipients": []any{}}},
			{"spec.delivery", map[string]any{"recipients": []any{recipient}}}},
		[]change{{"spec.delivery.recipients", []any{}}, {"spec.delivery", nil}, {"spec.delivery", map[string]any{}}}},
	{"apikey-sealed", inNoSecret, "spec.delivery",
		[]change{{"spec.delivery.secretName", "name"}, {"spec.delivery.labels", map[string]any{"app": "a"}},
			{"spec.delivery.annotations", map[string]any{"note": "a"}}, {"spec.delivery.existing", "Adopt"}},
		[]change{{"spec.delivery.existing", "Refuse"}, {"spec.delivery.onLoss", "Fail"}, {"spec.delivery.deletionPolicy", "Retain"},
			{"spec.rotation", map[string]any{"every": "24h", "overlap": "1h"}}, {"spec.delivery.recipients.0", recipient}}},
	{"apikey-secretref", "set secretRef or sha256, one of them", "spec.source",
		[]change{{"spec.source", map[string]any{}}, {"spec.source.sha256", hashOfTest}},
		[]change{{"spec.source", map[string]any{"sha256": hashOfTest}}, {"spec.source.secretRef.key", nil}}},
	{"apikey-secretref", "hint goes with sha256: of a key in a Secret it is known", "spec.source.hint",
		[]change{{"spec.source.hint", "ak_live_…x7Qz"}}, nil},
	{"apikey-sha256", "a key that is brought along is not made anew by time: remove rotation.every, and change its source instead", "spec.rotation.every",
		[]change{{"spec.rotation.every", "48h"}},
		[]change{{"spec.rotation.every", nil}, {"spec.rotation.endWhenUnusedFor", "1h"}, {"spec.source.hint", nil}, {"spec.source.hint", "ci_test_…0000"}}},
	{"apikey-sha256", "a key that is brought along is not delivered: remove delivery.type", "spec.delivery.type",
		[]change{{"spec.delivery", map[string]any{"type": "Sealed", "recipients": []any{recipient}}}},
		[]change{{"spec.delivery", map[string]any{"type": "Secret"}}}},
	{"serviceaccount", atLeastSecond, "spec.token.ttl", noSeconds("spec.token.ttl"), []change{{"spec.token.ttl", "1s"}, {"spec.token", map[string]any{}}, {"spec.token", nil}}},
	{"serviceaccount", "type Sealed, and it alone, needs recipients", "spec.token.delivery.recipients",
		[]change{{"spec.token.delivery.recipients", []any{recipient}}, {"spec.token.delivery", map[string]any{"type": "Sealed"}}},
		[]change{{"spec.token.delivery", map[string]any{"type": "Sealed", "recipients": []any{recipient}}}}},
	{"serviceaccount", inNoSecret, "spec.token.delivery",
		[]change{{"spec.token.delivery", map[string]any{"type": "Sealed", "recipients": []any{recipient}, "secretName": "name"}}}, nil},
	{"serviceaccount", "labels under keys.claviger.dev/ are Claviger's own", "spec.token.delivery.labels",
		[]change{{"spec.token.delivery.labels", map[string]any{"keys.claviger.dev/secret": "hashed"}}}, nil},
	{"serviceaccount", "annotations under keys.claviger.dev/ are Claviger's own", "spec.token.delivery.annotations",
		[]change{{"spec.token.delivery.annotations", map[string]any{"keys.claviger.dev/generation": "1"}}}, nil},
	{"workspace", atLeastSecond, "spec.keys.unusedAfter", noSeconds("spec.keys.unusedAfter"), []change{{"spec.keys.unusedAfter", "1s"}, {"spec.keys.unusedAfter", nil}}},
	{"workspace", atLeastSecond, "spec.keys.retainExpired", noSeconds("spec.keys.retainExpired"), []change{{"spec.keys.retainExpired", "1s"}, {"spec.keys.retainExpired", nil}}},
	{"workspace", "must be at least 1s, in hours, minutes and seconds: 336h is 14 days", "spec.keys.expiryWarnings[0]",
		append(noSeconds("spec.keys.expiryWarnings.0"), change{"spec.keys.expiryWarnings.0", "1us"}),
		[]change{{"spec.keys.expiryWarnings.0", "1s"}, {"spec.keys.expiryWarnings", []any{}}, {"spec.keys.expiryWarnings", nil}}},
	{"apikey", resourceForm, "spec.grants[0].resource", noResources, resources},
	{"serviceaccount", resourceForm, "spec.grants[0].resource", noResources, resources},
	{"apikey", "set expiresAt or ttl, not both", "spec",
		[]change{{"spec.expiresAt", "2099-01-01T00:00:00Z"}},
		[]change{{"spec.ttl", nil}}},
	{"apikey", "must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z", "spec.expiresAt",
		[]change{{"spec.expiresAt", "0001-01-01T00:00:00Z"}, {"spec.expiresAt", "1969-12-31T23:59:59Z"}, {"spec.expiresAt", "9999-01-01T00:00:00Z"}},
		nil},
	{"apikey", atLeastSecond, "spec.ttl", noSeconds("spec.ttl"),
		[]change{{"spec.ttl", "168h1s"}, {"spec.ttl", "87600h"}}},
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
	{"workspace", atLeastSecond, "spec.keys.defaultTTL",
		[]change{{"spec.keys.defaultTTL", "0s"}}, []change{{"spec.keys.defaultTTL", "1s"}}},
	{"workspace", atLeastSecond, "spec.keys.maxTTL",
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
	{"workspace", "anchorDay is a day of the month (1 to 31) with Monthly, a day of the week (1 is Monday, 7 is Sunday) with Weekly, and must be left out with Daily", "spec.billing",
		[]change{{"spec.billing.resetPeriod", "Daily"}, {"spec.billing", map[string]any{"resetPeriod": "Weekly", "anchorDay": int64(8)}}},
		[]change{{"spec.billing", map[string]any{"resetPeriod": "Daily"}}, {"spec.billing", map[string]any{"anchorDay": int64(31)}},
			{"spec.billing", map[string]any{"resetPeriod": "Weekly", "anchorDay": int64(7)}}, {"spec.billing", map[string]any{}}, {"spec.billing", nil}}},
	{"workspace", "must be from 1h to 9528h, in hours, minutes and seconds: 720h is 30 days", "spec.usage.requestLog.retention",
		[]change{{"spec.usage.requestLog.retention", "59m59s"}, {"spec.usage.requestLog.retention", "9528h1s"}, {"spec.usage.requestLog.retention", "30d"},
			{"spec.usage.requestLog.retention", "-1h"}, {"spec.usage.requestLog.retention", ""}},
		[]change{{"spec.usage.requestLog.retention", "1h"}, {"spec.usage.requestLog.retention", "9528h"}, {"spec.usage.requestLog.samplePercent", nil},
			{"spec.usage", map[string]any{}}, {"spec.usage", nil}}},
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
	{"apikey", "type cannot be changed: create another ApiKey", "spec.delivery.type",
		[]change{{"spec.delivery", map[string]any{"type": "Sealed", "recipients": []any{recipient}}}},
		[]change{{"spec.delivery.type", nil}, {"spec.delivery.existing", nil}}},
	{"apikey-sealed", "type cannot be changed: create another ApiKey", "spec.delivery.type",
		[]change{{"spec.delivery", nil}, {"spec.delivery", map[string]any{"type": "Secret"}}},
		[]change{{"spec.delivery.recipients.0", recipient}}},
	{"apikey-sha256", "source can be neither added nor removed: create another ApiKey", "spec.source",
		[]change{{"spec.source", nil}},
		[]change{{"spec.source", map[string]any{"secretRef": map[string]any{"name": "old-key"}}}, {"spec.source.sha256", strings.Repeat("0", 64)}}},
	{"apikey", personalStays, "spec.entity",
		[]change{{"spec.entity.kind", "User"}, {"spec.entity", map[string]any{"kind": "User", "id": "jane"}}},
		[]change{{"spec.entity.id", "other"}, {"spec.entity", nil}}},
	{"apikey-personal", personalStays, "spec.entity",
		[]change{{"spec.entity", nil}, {"spec.entity.id", "john@example.com"}, {"spec.entity.kind", "Member"}},
		[]change{{"spec.entity.department", "research"}}},
	{"serviceaccount", "environment cannot be changed: it is part of the token; create another ServiceAccount", "spec.token.environment",
		[]change{{"spec.token.environment", "test"}},
		[]change{{"spec.token.environment", nil}, {"spec.token", nil}, {"spec.token.ttl", "24h"}}},
	{"serviceaccount", "type cannot be changed: create another ApiKey", "spec.token.delivery.type",
		[]change{{"spec.token.delivery", map[string]any{"type": "Sealed", "recipients": []any{recipient}}}}, nil},
	{"serviceaccount", "secretName cannot be changed: those who use the key know it by this name; create another ApiKey", "spec.token.delivery.secretName",
		[]change{{"spec.token.delivery.secretName", "other"}, {"spec.token.delivery.secretName", nil}},
		[]change{{"spec.token", nil}}},
	{"serviceaccount", "workspaceRef cannot be changed: create another ServiceAccount", "spec.workspaceRef",
		[]change{{"spec.workspaceRef.name", "bank"}}, nil},
}

const personalStays = "whose personal token a key is cannot be changed: create another ApiKey"

const revokedStays = "a revoked key stays revoked: create another ApiKey"

func TestRules(t *testing.T) {
	for _, r := range rules {
		t.Run(r.file+"/"+r.message+" at "+r.field, func(t *testing.T) {
			for _, c := range r.refused {
				object := with(full(t, r.file), c.path, c.value)
				requireFault(t, r, c, tryCreate(object))
				requireAlsoInvalid(t, object, c.path, c.value)
			}
			for _, c := range r.allowed {
				object := with(full(t, r.file), c.path, c.value)
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
		t.Run(r.file+"/"+r.message, func(t *testing.T) {
			stored := create(t, full(t, r.file))
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
		{"spec.delivery.type", "Sealed"},
		{"spec.entity", map[string]any{"kind": "User", "id": "jane"}},
		{"spec.source", map[string]any{"sha256": hashOfTest}},
	} {
		i := slices.IndexFunc(transitions, func(r rule) bool { return kindOf(r.file) == "apikey" && r.field == c.path })
		requireFault(t, transitions[i], c, tryUpdate(with(stored, c.path, c.value)))
	}
}

func TestRevokedStays(t *testing.T) {
	final := rule{file: "apikey", message: revokedStays, field: "spec.state"}
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
		tested[kindOf(r.file)+": "+r.message] = true
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
