package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
)

const certificateLifetime = 10 * 365 * 24 * time.Hour

// pki is a certificate authority and what it has signed, kept in files so that
// kubeconfigs and service account tokens hold over a restart.
type pki struct {
	dir                                                string
	caCert, servingCert, servingKey, serviceAccountKey string

	ca    *x509.Certificate
	caPEM []byte
	caKey crypto.Signer
}

func loadPKI(dir string) (*pki, error) {
	p := &pki{
		dir:               dir,
		caCert:            filepath.Join(dir, "ca.crt"),
		servingCert:       filepath.Join(dir, "apiserver.crt"),
		servingKey:        filepath.Join(dir, "apiserver.key"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
	}
	// The service account key is written last: where it exists, so does the rest.
	_, err := os.Stat(p.serviceAccountKey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, p.create()
	case err != nil:
		return nil, err
	}
	return p, p.readCA()
}

func (p *pki) create() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	caKey, err := newKey(filepath.Join(p.dir, "ca.key"))
	if err != nil {
		return err
	}
	template := certificate("claviger-local-ca")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.caCert, certificatePEM(der), 0o600); err != nil {
		return err
	}
	if err := p.readCA(); err != nil {
		return err
	}
	if err := p.createServing(); err != nil {
		return err
	}
	_, err = newKey(p.serviceAccountKey)
	return err
}

func (p *pki) createServing() error {
	key, err := newKey(p.servingKey)
	if err != nil {
		return err
	}
	template := certificate("kube-apiserver")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	signed, err := p.sign(template, key)
	if err != nil {
		return err
	}
	return os.WriteFile(p.servingCert, signed, 0o600)
}

// adminConfig makes a configuration for an administrator of the API server at host.
func (p *pki) adminConfig(host string) (*rest.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate("claviger-local-admin")
	template.Subject.Organization = []string{"system:masters"}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	signed, err := p.sign(template, key)
	if err != nil {
		return nil, err
	}
	keyPEM, err := privateKeyPEM(key)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            host,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.caPEM, CertData: signed, KeyData: keyPEM},
	}, nil
}

func (p *pki) sign(template *x509.Certificate, key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, key.Public(), p.caKey)
	if err != nil {
		return nil, err
	}
	return certificatePEM(der), nil
}

func (p *pki) readCA() error {
	var err error
	if p.caPEM, err = os.ReadFile(p.caCert); err != nil {
		return err
	}
	cert, err := decodePEM(p.caCert, p.caPEM)
	if err != nil {
		return err
	}
	if p.ca, err = x509.ParseCertificate(cert); err != nil {
		return err
	}
	keyFile := filepath.Join(p.dir, "ca.key")
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	der, err := decodePEM(keyFile, keyPEM)
	if err != nil {
		return err
	}
	p.caKey, err = x509.ParseECPrivateKey(der)
	return err
}

func decodePEM(path string, data []byte) ([]byte, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is damaged: delete the directory it is in and start again", path)
	}
	return block.Bytes, nil
}

func newKey(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := privateKeyPEM(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, text, 0o600)
}

func certificate(name string) *x509.Certificate {
	// It never fails with this reader.
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	// A clock that is set back a little must not make the certificate invalid.
	from := time.Now().Add(-time.Hour)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    from,
		NotAfter:     from.Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func privateKeyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
