package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// ready is a verifier that says how it is.
func ready(t *testing.T, status int, text string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (r result) lines(level string) (lines []string) {
	for line := range strings.Lines(r.out) {
		if strings.HasPrefix(line, level) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (r result) finds(t *testing.T, level, text string) {
	t.Helper()
	if !strings.Contains(strings.Join(r.lines(level), ""), text) {
		t.Errorf("no %s tells of %q in\n%s", level, text, r.out)
	}
}

func TestTheDoctor(t *testing.T) {
	ns := newNamespace(t, "doctor")
	healthy := ready(t, 200, "ok\n")

	r := claviger(t, ns, "", "doctor", "--verifier-url", healthy).want(t, 1)
	r.finds(t, "FAIL", "there is no Lease claviger-operator in namespace claviger-system")
	r.finds(t, "OK", "there is no Service claviger-verifier in namespace claviger-system, and it is asked at its URL")
	r.finds(t, "OK", "all 4 are installed")

	claviger(t, ns, "", "doctor").want(t, 1).finds(t, "FAIL", "there is no Service claviger-verifier in namespace claviger-system")
	if _, err := plane.RunKubectl(t.Context(), nil, "apply", "-f", "config/verifier/service.yaml"); err != nil {
		t.Fatal(err)
	}
	claviger(t, ns, "", "doctor", "--verifier-url", healthy).want(t, 1).finds(t, "FAIL", "there is nobody ready behind Service claviger-verifier")

	renewed, holder, seconds, yes := metav1.NowMicro(), "somebody", int32(3600), true
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "claviger-operator"},
		Spec: coordinationv1.LeaseSpec{RenewTime: &renewed, HolderIdentity: &holder, LeaseDurationSeconds: &seconds}}
	mustCreate(t, lease, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: system, Name: "verifier", Labels: map[string]string{discoveryv1.LabelServiceName: "claviger-verifier"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
	})
	r = claviger(t, ns, "", "doctor", "--verifier-url", healthy).want(t, 0)
	if bad := append(r.lines("WARN"), r.lines("FAIL")...); len(bad) > 0 {
		t.Errorf("all is well, and it says\n%s", r.out)
	}

	t.Run("a verifier that is behind", func(t *testing.T) {
		claviger(t, ns, "", "doctor", "--verifier-url", ready(t, 200, "ok (secrets were not listed)\n")).want(t, 0).finds(t, "WARN", "secrets were not listed")
	})
	t.Run("a verifier that is not ready", func(t *testing.T) {
		claviger(t, ns, "", "doctor", "--verifier-url", ready(t, 503, "not ready: no keys\n")).want(t, 1).finds(t, "FAIL", "not ready: no keys")
	})
	t.Run("a leader that is silent", func(t *testing.T) {
		silent := metav1.NewMicroTime(time.Now().Add(-3 * time.Hour))
		before := lease.DeepCopy()
		lease.Spec.RenewTime = &silent
		if err := admin.Patch(t.Context(), lease, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
		claviger(t, ns, "", "doctor", "--verifier-url", healthy).want(t, 1).finds(t, "FAIL", "silent for 3h")
	})
	t.Run("a revocation that was not seen to spread", func(t *testing.T) {
		mustCreate(t, &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "gone"},
			Spec: v1alpha1.ApiKeySpec{WorkspaceRef: v1alpha1.LocalReference{Name: "shop"}, State: v1alpha1.KeyRevoked}})
		setStatus(t, ns, "gone", func(k *v1alpha1.ApiKey) {
			asked := metav1.NewTime(time.Now().Add(-time.Hour))
			k.Status.Revocation = &v1alpha1.Revocation{RequestedAt: &asked}
		})
		claviger(t, ns, "", "doctor", "--verifier-url", healthy).finds(t, "WARN", "1 in namespace doctor")
	})
	t.Run("no cluster", func(t *testing.T) {
		claviger(t, ns, "", "doctor", "--server", "https://127.0.0.1:1").want(t, 1, "the API server cannot be reached")
	})
}

// Of what somebody may not look at nothing is broken.
func TestTheDoctorNamesTheRightsThatAreMissing(t *testing.T) {
	ns := newNamespace(t, "doctor-nobody")
	nobody := somebody(t, ns, rbacv1.PolicyRule{APIGroups: []string{"keys.claviger.dev"}, Resources: []string{"apikeys"}, Verbs: []string{"get"}})
	r := clavigerAs(t, nobody, ns, "", "doctor").want(t, 0)
	for _, right := range []string{
		"get customresourcedefinitions.apiextensions.k8s.io", "list validatingwebhookconfigurations", "get secrets in namespace claviger-system",
		"get leases.coordination.k8s.io", "list endpointslices", "the verb get on services/proxy", "you may not create apikeys.keys.claviger.dev in namespace doctor-nobody",
	} {
		r.finds(t, "WARN", right)
	}
}
