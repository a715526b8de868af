package webhook

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
)

const (
	caKeyFile = "ca.key"

	authorityName     = "claviger-ca"
	authorityLifetime = 10 * 365 * 24 * time.Hour
	serverLifetime    = 365 * 24 * time.Hour
	// What is nearer to its end than this is made anew.
	renewBefore = 90 * 24 * time.Hour
	// For those whose clock is behind.
	backdate = time.Hour
)

var serverUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

// renewal decides which certificates are made anew, and makes them.
type renewal struct {
	names []string // that the server's certificate must be valid for; at least one
}

// renew returns what the certificate Secret should hold instead of data, or nil where that
// is good for another while.
func (r renewal) renew(data map[string][]byte, now time.Time) (map[string][]byte, error) {
	authority := currentAuthority(data, now)
	if authority != nil && r.serverValid(data, now) {
		return nil, nil
	}
	bundle, names := data[caFile], r.names
	if authority == nil {
		fresh, err := r.maker(names).CreateCACert(now.Add(-backdate), now.Add(authorityLifetime))
		if err != nil {
			return nil, fmt.Errorf("cannot make a certificate authority: %w", err)
		}
		// Whoever has not heard of the new one yet shows a certificate of the old one for a
		// moment, and stays trusted.
		authority, bundle = fresh, slices.Concat(fresh.CertPEM, firstUnexpired(data[caFile], now))
	} else {
		// Two versions of the operator that ask for different names, during an upgrade, must not
		// replace each other's certificate for ever.
		names = union(names, serverNames(data[certFile]))
	}
	cert, key, err := r.maker(names).CreateCertPEM(authority, now.Add(-backdate), now.Add(serverLifetime))
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate for %v: %w", names, err)
	}
	caKey := authority.KeyPEM
	if caKey == nil {
		caKey = data[caKeyFile]
	}
	return map[string][]byte{caFile: bundle, caKeyFile: caKey, certFile: cert, keyFile: key}, nil
}

func (renewal) maker(names []string) *rotator.CertRotator {
	return &rotator.CertRotator{
		CAName:         authorityName,
		CAOrganization: "claviger",
		DNSName:        names[0],
		ExtraDNSNames:  names[1:],
		ExtKeyUsages:   &serverUsage,
	}
}

// currentAuthority is the one that the data hold, the first in the bundle; nil where it is
// unusable or near its end.
func currentAuthority(data map[string][]byte, now time.Time) *rotator.KeyPairArtifacts {
	valid, err := rotator.ValidCert(data[caFile], data[caFile], data[caKeyFile], authorityName, nil, now.Add(renewBefore))
	if err != nil || !valid {
		return nil
	}
	pair, err := tls.X509KeyPair(data[caFile], data[caKeyFile])
	if err != nil {
		return nil
	}
	key, isRSA := pair.PrivateKey.(*rsa.PrivateKey)
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if !isRSA || err != nil || !cert.IsCA {
		return nil
	}
	return &rotator.KeyPairArtifacts{Cert: cert, Key: key}
}

func (r renewal) serverValid(data map[string][]byte, now time.Time) bool {
	for _, name := range r.names {
		valid, err := rotator.ValidCert(data[caFile], data[certFile], data[keyFile], name, &serverUsage, now.Add(renewBefore))
		if err != nil || !valid {
			return false
		}
	}
	return true
}

func serverNames(certPEM []byte) []string {
	if cert := firstCertificate(certPEM); cert != nil {
		return cert.DNSNames
	}
	return nil
}

func firstUnexpired(bundle []byte, now time.Time) []byte {
	cert := firstCertificate(bundle)
	if cert == nil || now.After(cert.NotAfter) {
		return nil
	}
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
		return nil
	}
	return out.Bytes()
}

func firstCertificate(text []byte) *x509.Certificate {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
