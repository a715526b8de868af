package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// settled returns once the Secret, the API server and both replicas agree on one certificate
// that is another than the one before, and admission works with it.
func settled(t *testing.T, before []byte) (secret *corev1.Secret) {
	t.Helper()
	err := until(t.Context(), func() error {
		secret = &corev1.Secret{}
		if err := admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: certSecret}, secret); err != nil {
			return err
		}
		certificate := secret.Data["tls.crt"]
		if len(certificate) == 0 || bytes.Equal(certificate, before) {
			return errors.New("there is no new certificate")
		}
		bundle, err := trusted(t.Context())
		if err != nil {
			return err
		}
		if !bytes.Equal(bundle, secret.Data["ca.crt"]) {
			return errors.New("the API server trusts something else")
		}
		for i, r := range replicas {
			if err := shows(r, certificate, bundle); err != nil {
				return fmt.Errorf("replica %d: %w", i, err)
			}
		}
		return errors.Join(
			admin.Create(t.Context(), workspace("default", "probe", v1alpha1.KeyPolicy{}), client.DryRunAll),
			admin.Create(t.Context(), key("default", "probe"), client.DryRunAll))
	})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// trusted is what the API server accepts from each of the webhooks.
func trusted(ctx context.Context) (bundle []byte, err error) {
	c, err := readConfigurations(ctx)
	if err != nil {
		return nil, err
	}
	for i, at := range c.clients() {
		if i > 0 && !bytes.Equal(at.CABundle, bundle) {
			return nil, fmt.Errorf("webhook %d is trusted by another authority", i)
		}
		bundle = at.CABundle
	}
	return bundle, nil
}

// shows says whether a replica serves just that certificate, trusted for every name it is to have.
func shows(r *replica, certificate, bundle []byte) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	block, _ := pem.Decode(certificate)
	for _, name := range []string{
		"claviger-webhook.claviger-system.svc", "claviger-verifier-admin.claviger-system.svc", "localhost", "extra.example",
	} {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port))
		connection, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			return err
		}
		shown := connection.ConnectionState().PeerCertificates[0].Raw
		if err := connection.Close(); err != nil {
			return err
		}
		if !bytes.Equal(shown, block.Bytes) {
			return errors.New("it shows another certificate")
		}
	}
	return nil
}

// Both started at once and found no Secret.
func TestReplicasAgreeOnOneCertificate(t *testing.T) {
	settled(t, nil)
}

func TestALostCertificateIsReplacedWhileServing(t *testing.T) {
	secret := settled(t, nil)
	before, authority := secret.Data["tls.crt"], secret.Data["ca.crt"]
	secret.Data["tls.crt"] = nil
	if err := admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if after := settled(t, before); !bytes.Equal(after.Data["ca.crt"], authority) {
		t.Error("the authority was replaced too, for no reason")
	}
}

func TestAnAuthorityNearItsEndIsReplacedWhileServing(t *testing.T) {
	secret := settled(t, nil)
	maker := rotator.CertRotator{CAName: "claviger-ca", CAOrganization: "claviger", DNSName: "localhost",
		ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	begin, end := time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	ending, err := maker.CreateCACert(begin, end)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := maker.CreateCertPEM(ending, begin, end)
	if err != nil {
		t.Fatal(err)
	}
	secret.Data = map[string][]byte{"ca.crt": ending.CertPEM, "ca.key": ending.KeyPEM, "tls.crt": certificate, "tls.key": key}
	if err := admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	after := settled(t, certificate)
	if bytes.HasPrefix(after.Data["ca.crt"], ending.CertPEM) || !bytes.HasSuffix(after.Data["ca.crt"], ending.CertPEM) {
		t.Error("the bundle does not begin with a new authority and end with the old one")
	}
}

func TestALostSecretIsMadeAgain(t *testing.T) {
	secret := settled(t, nil)
	if err := admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	settled(t, secret.Data["tls.crt"])
}

// Whoever applies the manifests anew may take the operator's part out of them.
func TestTheAPIServerIsToldAgain(t *testing.T) {
	settled(t, nil)
	c, err := readConfigurations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range c.clients() {
		at.CABundle = nil
	}
	if err := c.update(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled(t, nil)
}
