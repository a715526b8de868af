package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// knowing is a verifier that knows whose some keys are.
func knowing(t *testing.T, keys map[string]types.NamespacedName) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question struct{ Key string }
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &question); err != nil || r.URL.Path != "/v1/verify" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		name, ok := keys[question.Key]
		if !ok {
			io.WriteString(w, `{"valid":false,"code":"KEY_INVALID","status":401,"error":"Invalid API key","checks":[{"name":"key","outcome":"failed","code":"KEY_INVALID","decided":true}]}`)
			return
		}
		io.WriteString(w, `{"valid":true,"code":"VALID","status":200,"key":{"id":"x","name":"`+name.Name+`","namespace":"`+name.Namespace+`","workspace":"w"},"checks":[{"name":"key","outcome":"passed"}]}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestALeakedKeyIsFoundAndRevoked(t *testing.T) {
	ns := newNamespace(t, "leak")
	playOperator(t, ns)
	for name, args := range map[string][]string{"first": {"revoke", "--leaked", "--reason", "in a log"}, "second": {"report-leak"}} {
		key := claviger(t, ns, "", "create", name, "--workspace", "shop").want(t, 0).key(t)
		url := knowing(t, map[string]types.NamespacedName{key: {Namespace: ns, Name: name}})
		// Wherever the one who found it works.
		r := claviger(t, "default", key+"\n", append(args, "--verifier-url", url)...).want(t, 0, "It is the key of ApiKey leak/"+name, "is revoked")
		if strings.Contains(r.out+r.err, key) {
			t.Error("the key was shown")
		}
		got := get(t, ns, name)
		if got.Spec.State != v1alpha1.KeyRevoked || !strings.HasPrefix(got.Annotations[v1alpha1.AnnotationRevocationReason], v1alpha1.LeakedReason) {
			t.Errorf("%s is %s for the reason %q", name, got.Spec.State, got.Annotations[v1alpha1.AnnotationRevocationReason])
		}
	}
	unknown, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	claviger(t, ns, unknown.Reveal(), "report-leak", "--verifier-url", knowing(t, nil)).want(t, 1, "the verifier knows no such key")
	claviger(t, ns, "x", "revoke", "first", "--leaked").want(t, 1, "leave out the name")
}

func TestTheExitCodeOfVerifyTellsValidFromUnasked(t *testing.T) {
	url := knowing(t, map[string]types.NamespacedName{"good": {Namespace: "a", Name: "b"}})
	for _, c := range []struct {
		name, stdin, url string
		code             int
		out              string
	}{
		{"valid", "good\n", url, 0, "VALID: the request may pass."},
		{"not valid", "bad", url, 1, "✗ key"},
		{"no key", "", url, 2, ""},
		{"nobody answers", "good", "http://127.0.0.1:1", 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := claviger(t, "default", c.stdin, "verify", "--verifier-url", c.url).want(t, c.code); !strings.Contains(r.out, c.out) || c.out == "" && r.out != "" {
				t.Errorf("printed\n%s", r.out)
			}
		})
	}
	// Without a URL the API server is asked, where there is no such Service.
	claviger(t, "default", "good", "verify", "--system-namespace", "kube-public").want(t, 2, "there is no Service claviger-verifier in namespace kube-public", "--verifier-url")
	if r := claviger(t, "default", "good", "verify", "-o", "json", "--verifier-url", url).want(t, 0); !strings.Contains(r.out, `"code": "VALID"`) || strings.Contains(r.out, "good") {
		t.Errorf("printed\n%s", r.out)
	}
}

func TestAKeyIsNoArgument(t *testing.T) {
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", key.Reveal()}, {"explain", key.Reveal()}, {"revoke", "x", "--reason", "found " + key.Reveal() + " in a log"},
		{"report-leak", "--reason=" + key.Reveal()}, {key.Reveal()}, {"create", "x", "--recipient", "AGE-SECRET-KEY-1QQQ"},
	} {
		r := claviger(t, "default", "", args...).want(t, 1)
		if strings.Contains(r.out+r.err, key.Reveal()) || !strings.Contains(r.err, "history") {
			t.Errorf("%s: said %q", args[0], r.err)
		}
	}
	// What only looks like one is somebody's name.
	claviger(t, "default", "", "explain", "ak-live-0000").want(t, 1, "there is no ApiKey")
}
