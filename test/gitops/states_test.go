package gitops_test

import (
	"os"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// object is one of a kind as an API server shows it: of generation 2, with a status that speaks of it.
func object(kind string, conditions ...any) *unstructured.Unstructured {
	content := map[string]any{"observedGeneration": int64(2)}
	if len(conditions) > 0 {
		content["conditions"] = conditions
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind,
		"metadata": map[string]any{"name": "it", "namespace": "team", "generation": int64(2)},
		"spec":     map[string]any{},
		"status":   content,
	}}
}

// with changes a field of an object.
func with(o *unstructured.Unstructured, value any, path ...string) *unstructured.Unstructured {
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		panic(err)
	}
	return o
}

func condition(kind, is, reason string) any {
	return map[string]any{"type": kind, "status": is, "reason": reason, "message": "It is " + reason,
		"observedGeneration": int64(2), "lastTransitionTime": "2026-11-27T12:00:00Z"}
}

func ready() any              { return condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonReconciled) }
func notReady(why string) any { return condition(v1alpha1.ConditionReady, "False", why) }
func stalled(why string) any  { return condition(v1alpha1.ConditionStalled, "True", why) }
func active() any             { return condition(v1alpha1.ConditionActive, "True", v1alpha1.ReasonActive) }
func inactive(why string) any { return condition(v1alpha1.ConditionActive, "False", why) }
func advice(kind string) any  { return condition(kind, "True", kind) }

// state is what an object can be like, and what the tools shall make of it.
type state struct {
	what    string
	object  *unstructured.Unstructured
	kstatus status.Status
	argo    string
}

// statesOfAll are those that every kind knows.
func statesOfAll(kind string) []state {
	return []state{
		// The CRDs give it this status, until the operator comes.
		{"just applied", with(object(kind), int64(0), "status", "observedGeneration"), status.InProgressStatus, progressing},
		{"usage before anything else", with(with(object(kind), int64(0), "status", "observedGeneration"),
			map[string]any{"total": map[string]any{}}, "status", "usage"), status.InProgressStatus, progressing},
		{"changed", with(object(kind, ready(), active()), int64(1), "status", "observedGeneration"), status.InProgressStatus, progressing},
		{"corrected", with(object(kind, notReady("InvalidSpec"), active(), stalled("InvalidSpec")), int64(1), "status", "observedGeneration"),
			status.InProgressStatus, progressing},
		{"ready", object(kind, ready(), active()), status.CurrentStatus, healthy},
		{"of an invalid spec", object(kind, notReady("InvalidSpec"), active(), stalled("InvalidSpec")), status.FailedStatus, degraded},
		{"being deleted", with(object(kind, ready(), active()), "2026-11-27T12:00:00Z", "metadata", "deletionTimestamp"), status.TerminatingStatus, progressing},
	}
}

// statesOf are those of one kind.
func statesOf(kind string) []state {
	switch kind {
	case "Workspace":
		return []state{
			{"suspended", object(kind, ready(), inactive(v1alpha1.ReasonSuspended)), status.CurrentStatus, suspended},
			{"waiting for a limit", object(kind, notReady(v1alpha1.ReasonKeyLimitNotFound), active()), status.InProgressStatus, progressing},
			{"with legacy keys", object(kind, ready(), active(), advice(v1alpha1.ConditionLegacyKeys)), status.CurrentStatus, healthy},
		}
	case "ServiceAccount":
		return []state{
			{"suspended", object(kind, ready(), inactive(v1alpha1.ReasonSuspended)), status.CurrentStatus, suspended},
			{"of a suspended workspace", object(kind, ready(), inactive(v1alpha1.ReasonWorkspaceSuspended)), status.CurrentStatus, suspended},
			{"waiting for its workspace", object(kind, notReady(v1alpha1.ReasonWorkspaceNotFound), inactive(v1alpha1.ReasonWorkspaceNotFound)),
				status.InProgressStatus, progressing},
			{"waiting for a limit", object(kind, notReady(v1alpha1.ReasonKeyLimitNotFound), active()), status.InProgressStatus, progressing},
			{"robbed of its token", object(kind, notReady(v1alpha1.ReasonTokenConflict), active(), stalled(v1alpha1.ReasonTokenConflict)),
				status.FailedStatus, degraded},
		}
	case "KeyLimit":
		return []state{
			{"not enabled", object(kind, ready(), inactive(v1alpha1.ReasonDisabled)), status.CurrentStatus, suspended},
		}
	}
	return statesOfKeys()
}

func statesOfKeys() (states []state) {
	const kind = "ApiKey"
	// Ended, or stopped, as it was asked to be.
	for _, reason := range []string{v1alpha1.ReasonRevoked, v1alpha1.ReasonExpired} {
		states = append(states, state{reason, object(kind, ready(), inactive(reason)), status.CurrentStatus, healthy})
	}
	for _, reason := range []string{v1alpha1.ReasonDisabled, v1alpha1.ReasonWorkspaceSuspended, v1alpha1.ReasonServiceAccountSuspended} {
		states = append(states, state{reason, object(kind, ready(), inactive(reason)), status.CurrentStatus, suspended})
	}
	// Worth knowing, and no fault.
	for _, kindOfAdvice := range []string{v1alpha1.ConditionNearExpiry, v1alpha1.ConditionUnused, v1alpha1.ConditionPreviousKeyInUse} {
		states = append(states, state{kindOfAdvice, object(kind, ready(), active(), advice(kindOfAdvice)), status.CurrentStatus, healthy})
	}
	// What is missing may come by itself.
	for _, reason := range []string{v1alpha1.ReasonWorkspaceNotFound, v1alpha1.ReasonServiceAccountNotFound, v1alpha1.ReasonKeyLimitNotFound,
		v1alpha1.ReasonTooManyKeys, v1alpha1.ReasonWriteRefused, v1alpha1.ReasonSourceNotFound} {
		states = append(states, state{reason, object(kind, notReady(reason), inactive(v1alpha1.ReasonPending)), status.InProgressStatus, progressing})
	}
	// Only a person can help.
	for _, reason := range []string{v1alpha1.ReasonSecretConflict, v1alpha1.ReasonSecretLost, v1alpha1.ReasonSecretAltered, v1alpha1.ReasonDuplicateKey,
		v1alpha1.ReasonWeakKey} {
		states = append(states, state{reason, object(kind, notReady(reason), inactive(v1alpha1.ReasonPending), stalled(reason)), status.FailedStatus, degraded})
	}
	// A condition that says that nothing is stalled says nothing.
	return append(states, state{"not stalled", object(kind, condition(v1alpha1.ConditionStalled, "False", "Fine"), ready(), active()), status.CurrentStatus, healthy})
}

func TestTheToolsAreToldTheTruthAboutEveryState(t *testing.T) {
	for _, kind := range kinds {
		for _, s := range append(statesOfAll(kind), statesOf(kind)...) {
			t.Run(kind+" "+s.what, func(t *testing.T) {
				v := judge(t, s.object)
				if v.kstatus != s.kstatus {
					t.Errorf("kstatus says %s, want %s", v.kstatus, s.kstatus)
				}
				if v.argo != s.argo {
					t.Errorf("Argo CD says %s (%s), want %s", v.argo, v.message, s.argo)
				}
				want := s.kstatus
				if want == status.TerminatingStatus {
					want = status.InProgressStatus // expressions know no more than three
				}
				if v.flux != want {
					t.Errorf("Flux says %s, want %s", v.flux, want)
				}
			})
		}
	}
}

func TestArgoIsToldWhatAPersonShouldKnow(t *testing.T) {
	for _, of := range []struct {
		object *unstructured.Unstructured
		told   []string
	}{
		{object("ApiKey", notReady(v1alpha1.ReasonSecretConflict), stalled(v1alpha1.ReasonSecretConflict)), []string{"SecretConflict: It is SecretConflict"}},
		{object("ApiKey", notReady(v1alpha1.ReasonWorkspaceNotFound)), []string{"WorkspaceNotFound: It is WorkspaceNotFound"}},
		{object("ApiKey", ready(), active(), advice(v1alpha1.ConditionNearExpiry), advice(v1alpha1.ConditionUnused)),
			[]string{"It is Active", "It is NearExpiry", "It is Unused"}},
		{object("Workspace", ready(), inactive(v1alpha1.ReasonSuspended)), []string{"It is Suspended"}},
	} {
		_, message := argo(t, of.object)
		for _, part := range of.told {
			if !strings.Contains(message, part) {
				t.Errorf("Argo CD is told %q, and not %q", message, part)
			}
		}
	}
}

// CRDs before this one gave no status. kstatus then takes what the operator has not seen for ready; the shipped health
// checks do not.
func TestTheHealthChecksDoNotDependOnTheDefaultOfTheStatus(t *testing.T) {
	for _, kind := range kinds {
		for _, without := range [][]string{{"status"}, {"status", "observedGeneration"}} {
			o := object(kind)
			unstructured.RemoveNestedField(o.Object, without...)
			v := judge(t, o)
			if v.kstatus != status.CurrentStatus {
				t.Errorf("%s without %q: kstatus says %s, so this test, and the default, may go", kind, without, v.kstatus)
			}
			if v.argo != progressing || v.flux != status.InProgressStatus && v.flux != status.UnknownStatus {
				t.Errorf("%s without %q: Argo CD says %s, Flux %s", kind, without, v.argo, v.flux)
			}
		}
	}
}

func TestEveryKindHasTheOneHealthCheck(t *testing.T) {
	script := string(readShipped(t, "argocd/health.lua"))
	for kind, shipped := range argoScripts(t) {
		if shipped != script {
			t.Errorf("the health check for %s in argocd-cm.yaml is not the text of health.lua", kind)
		}
	}
}

func TestTheComponentAddsToArgoCDsSettings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {url: https://argocd.example.com}\n")
	// kustomize takes no absolute paths.
	write(t, dir+"/component/kustomization.yaml", string(readShipped(t, "argocd/kustomization.yaml")))
	write(t, dir+"/component/argocd-cm.yaml", string(readShipped(t, "argocd/argocd-cm.yaml")))
	write(t, dir+"/kustomization.yaml", "resources: [cm.yaml]\ncomponents: [component]\n")
	out, err := plane.RunKubectl(t.Context(), nil, "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"url: https://argocd.example.com", "health.keys.claviger.dev_ApiKey: |", "health.keys.claviger.dev_KeyLimit: |"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestTheGuideShowsTheChecksThatAreShipped(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/gitops.md")
	if err != nil {
		t.Fatal(err)
	}
	check := fluxChecks(t)["ApiKey"]
	for _, line := range []string{"inProgress: " + check.InProgress, "failed: " + check.Failed, "current: " + check.Current} {
		if !strings.Contains(string(guide), line) {
			t.Errorf("the guide does not show %q", line)
		}
	}
	for kind, other := range fluxChecks(t) {
		if other.Kind = check.Kind; other != check {
			t.Errorf("the check for %s is another than that for ApiKeys, which the guide shows for all", kind)
		}
	}
}
