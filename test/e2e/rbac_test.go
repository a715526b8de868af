package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const verifierUser = "system:serviceaccount:claviger-system:claviger-verifier"

type access struct{ verb, group, resource, namespace string }

// allowed asks the API server, by SubjectAccessReview, which of these the user may do.
func allowed(t *testing.T, user string, questions []access) []access {
	t.Helper()
	var reviews []map[string]any
	for _, q := range questions {
		reviews = append(reviews, map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"spec": map[string]any{
				"user":               user,
				"groups":             []string{"system:serviceaccounts", "system:serviceaccounts:claviger-system", "system:authenticated"},
				"resourceAttributes": map[string]string{"verb": q.verb, "group": q.group, "resource": q.resource, "namespace": q.namespace},
			},
		})
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": reviews})
	if err != nil {
		t.Fatal(err)
	}
	out, err := claviger.Try(string(list), "create", "-f", "-", "-o", `jsonpath={.status.allowed}{"\n"}`)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := strings.Fields(out)
	if len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions:\n%s", len(answers), len(questions), out)
	}
	var yes []access
	for i, answer := range answers {
		if answer == "true" {
			yes = append(yes, questions[i])
		}
	}
	return yes
}

func TestTheVerifierReadsNoForeignSecretAndWritesNothing(t *testing.T) {
	var questions []access
	for _, verb := range []string{"get", "list", "watch"} {
		for _, namespace := range []string{"", "default", "kube-system"} {
			questions = append(questions, access{verb, "", "secrets", namespace})
		}
	}
	for resource := range strings.Lines(claviger.Kubectl(t, "api-resources", "-o", "name")) {
		name, group, _ := strings.Cut(strings.TrimSpace(resource), ".")
		for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
			for _, namespace := range []string{"default", "claviger-system"} {
				questions = append(questions, access{verb, group, name, namespace})
			}
		}
	}
	if len(questions) < 500 {
		t.Fatalf("only %d questions: the resources were not listed", len(questions))
	}
	for _, is := range allowed(t, verifierUser, questions) {
		// Questions about identity are asked by creating a review, which is stored nowhere. Every
		// authenticated user may ask about itself.
		if is.verb == "create" && strings.HasSuffix(is.resource, "reviews") {
			continue
		}
		t.Errorf("the verifier may %s %s.%s in %q", is.verb, is.resource, is.group, is.namespace)
	}
	must := []access{{"list", "", "secrets", "claviger-system"}, {"watch", "keys.claviger.dev", "apikeys", ""}}
	if got := allowed(t, verifierUser, must); fmt.Sprint(got) != fmt.Sprint(must) {
		t.Errorf("the verifier needs %v and may %v", must, got)
	}
}

func TestTheProtectedPortAsksWhoIsThere(t *testing.T) {
	claviger.VerifierMetrics(t) // which says that those who may, can
	stranger := strings.TrimSpace(claviger.Kubectl(t, "create", "token", "default", "-n", "default"))
	for _, path := range []string{"/metrics", "/usage", "/debug/pprof/"} {
		if answer := claviger.Protected(t, path, ""); answer.Status != 401 {
			t.Errorf("%s without a token: %d", path, answer.Status)
		}
		if answer := claviger.Protected(t, path, "wrong"); answer.Status != 401 {
			t.Errorf("%s with a wrong token: %d", path, answer.Status)
		}
		if answer := claviger.Protected(t, path, stranger); answer.Status != 403 {
			t.Errorf("%s for somebody else: %d", path, answer.Status)
		}
	}
}
