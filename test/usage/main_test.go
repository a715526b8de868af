// Package usage tests the way of usage from the recorder to the status of an ApiKey, with a
// real database, a real API server and the RBAC identities of a cluster.
package usage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/test/controlplane"
)

// patience is for whatever runs in other goroutines and processes.
const patience = time.Minute

const systemNamespace = "claviger-system"

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.Start(controlplane.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer plane.Stop() //nolint:errcheck // the tests are over
	for _, args := range [][]string{
		{"create", "namespace", systemNamespace},
		{"apply", "-k", "config/rbac"},
	} {
		if _, err := plane.RunKubectl(context.Background(), nil, args...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// identity is what a pod of a service account in claviger-system has.
func identity(t *testing.T, name string) *rest.Config {
	t.Helper()
	config, err := plane.ServiceAccountConfig(systemNamespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// verifierToken is what the kubelet mounts into the operator: a token that is good for the
// verifier alone.
func verifierToken(t *testing.T) string {
	t.Helper()
	config, err := plane.ServiceAccountConfig(systemNamespace, "claviger-operator", usagefeed.Audience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kubernetes.NewForConfigOrDie(config).CoreV1().Secrets("default").List(context.Background(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("with the token for the verifier the API server lets Secrets be listed: %v", err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(config.BearerToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// certDir makes what the operator's certificates are: ca.crt, tls.crt and tls.key for 127.0.0.1.
func certDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.crt":  {Type: "CERTIFICATE", Bytes: der},
		"tls.crt": {Type: "CERTIFICATE", Bytes: der},
		"tls.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// await waits until a condition holds and returns the last reason why it does not.
func await(t *testing.T, unmet func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		reason := unmet()
		if reason == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(reason)
		}
	}
}
