package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// one is what a doctor finds with a look.
func one(t *testing.T, look func(*Doctor, context.Context), objects ...client.Object) []Finding {
	t.Helper()
	d := &Doctor{
		Client:    fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build(),
		Namespace: "team", System: "claviger-system", Now: func() time.Time { return now },
	}
	look(d, t.Context())
	return d.findings
}

func has(findings []Finding, level Level, part string) bool {
	for _, f := range findings {
		if f.Level == level && strings.Contains(f.Text, part) {
			return true
		}
	}
	return false
}

func in(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "claviger-system", Name: name}
}

// until is a certificate that ends then.
func until(t *testing.T, end time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-365 * day), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestACertificateNearItsEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		text  []byte
		level Level
		part  string
	}{
		{"fresh", until(t, now.Add(200*day)), OK, "valid until 2027-06-15"},
		{"near its end", until(t, now.Add(20*day)), Warn, "should have been renewed by now"},
		{"over", until(t, now.Add(-day)), Fail, "it ended on 2026-11-26"},
		{"empty", nil, Fail, "holds no certificate yet"},
		{"no certificate", []byte("hello"), Fail, "holds no certificate yet"},
	} {
		secret := &corev1.Secret{ObjectMeta: in("claviger-certs"), Data: map[string][]byte{"tls.crt": c.text}}
		if got := one(t, (*Doctor).certificate, secret); len(got) != 1 || !has(got, c.level, c.part) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if got := one(t, (*Doctor).certificate); !has(got, Fail, "is not in namespace claviger-system") {
		t.Errorf("none: %v", got)
	}
}

func TestWhetherAnOperatorLeads(t *testing.T) {
	lease := func(ago time.Duration, holder string) *coordinationv1.Lease {
		at, seconds := metav1.NewMicroTime(now.Add(-ago)), int32(15)
		return &coordinationv1.Lease{ObjectMeta: in("claviger-operator"), Spec: coordinationv1.LeaseSpec{RenewTime: &at, HolderIdentity: &holder, LeaseDurationSeconds: &seconds}}
	}
	replicas := func(wanted, have int32) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: in("claviger-operator"), Spec: appsv1.DeploymentSpec{Replicas: &wanted}, Status: appsv1.DeploymentStatus{AvailableReplicas: have}}
	}
	for _, c := range []struct {
		name    string
		objects []client.Object
		level   Level
		part    string
	}{
		{"one leads", []client.Object{lease(3*time.Second, "a")}, OK, "heard of 3s ago"},
		{"a clock that is behind", []client.Object{lease(-time.Minute, "a")}, OK, "heard of 0s ago"},
		{"silent", []client.Object{lease(time.Minute, "a")}, Fail, "silent for 60s"},
		{"given up", []client.Object{lease(time.Second, "")}, Fail, "none leads at the moment"},
		{"never", nil, Fail, "none has ever led"},
		{"one of two is away", []client.Object{lease(0, "a"), replicas(2, 1)}, Warn, "1 of 2 replicas"},
		{"both are away", []client.Object{lease(0, "a"), replicas(2, 0)}, Fail, "none of 2 replicas"},
		{"scaled to none", []client.Object{lease(time.Hour, "a"), replicas(0, 0)}, OK, "0 of 0 replicas"},
	} {
		if got := one(t, (*Doctor).operator, c.objects...); !has(got, c.level, c.part) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestWhetherTheWebhooksAreReached(t *testing.T) {
	yes, no := true, false
	hook := func(bundle []byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
		return &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "any"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:         "apikeys.keys.claviger.dev",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: bundle, Service: &admissionregistrationv1.ServiceReference{Namespace: "claviger-system", Name: "claviger-webhook"}},
			Rules:        []admissionregistrationv1.RuleWithOperations{{Rule: admissionregistrationv1.Rule{APIGroups: []string{"keys.claviger.dev"}}}},
		}}}
	}
	endpoint := func(ready *bool) *discoveryv1.EndpointSlice {
		meta := in("webhook")
		meta.Labels = map[string]string{discoveryv1.LabelServiceName: "claviger-webhook"}
		return &discoveryv1.EndpointSlice{ObjectMeta: meta, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}}}
	}
	good := until(t, now.Add(day))
	for _, c := range []struct {
		name    string
		objects []client.Object
		level   Level
		part    string
	}{
		{"all is well", []client.Object{hook(good), endpoint(&yes)}, OK, "1 configured"},
		{"of two authorities one is over", []client.Object{hook(append(until(t, now.Add(-day)), good...)), endpoint(nil)}, OK, "1 configured"},
		{"not configured", nil, Fail, "nobody checks what is applied"},
		{"trusts nobody", []client.Object{hook(nil), endpoint(&yes)}, Fail, "has no caBundle"},
		{"trusts what is over", []client.Object{hook(until(t, now.Add(-day))), endpoint(&yes)}, Fail, "no certificate that is valid now"},
		{"nobody is ready", []client.Object{hook(good), endpoint(&no)}, Fail, "nobody ready behind Service claviger-webhook"},
		{"nobody is there", []client.Object{hook(good)}, Fail, "nobody ready behind Service claviger-webhook"},
	} {
		got := one(t, (*Doctor).webhooks, c.objects...)
		if !has(got, c.level, c.part) || !has(got, Warn, "nobody records who creates a key") {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// verifier is one that answers what it is told to.
type verifier struct {
	status int
	text   string
	err    error
}

func (v verifier) Get(context.Context, string) (int, []byte, error) {
	return v.status, []byte(v.text), v.err
}

func (v verifier) Post(context.Context, string, []byte) (int, []byte, error) {
	return 0, nil, errors.New("nobody is to ask about a key")
}

func TestAVerifierIsAskedHowItIs(t *testing.T) {
	for _, c := range []struct {
		verifier verifier
		level    Level
	}{
		{verifier{200, "ok\n", nil}, OK},
		{verifier{200, "ok (serving what was known an hour ago)\n", nil}, Warn},
		{verifier{503, "not ready: no keys\n", nil}, Fail},
		{verifier{0, "", errors.New("does not answer")}, Fail},
		{verifier{0, "", errors.New("you may not ask the verifier through the API server")}, Warn},
	} {
		got := one(t, func(d *Doctor, ctx context.Context) { d.Verifier = c.verifier; d.verifier(ctx) })
		if len(got) != 1 || got[0].Level != c.level {
			t.Errorf("%+v: %v", c.verifier, got)
		}
	}
}
