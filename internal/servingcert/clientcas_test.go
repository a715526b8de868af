package servingcert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

func bundle(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestWithoutAuthoritiesNobodyIsAdmitted(t *testing.T) {
	config := &tls.Config{}
	cas := NewClientCAs(filepath.Join(t.TempDir(), "missing"), logr.Discard())
	cas.Configure(config)
	cas.look()
	if got, err := config.GetConfigForClient(nil); err == nil {
		t.Errorf("clients get %+v", got)
	}
}

func TestOnlyAFileThatMakesSenseChangesTheAuthorities(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	good, renewed := bundle(t), bundle(t)
	cas := NewClientCAs(file, logr.Discard())
	expect := func(what string, want []byte) {
		t.Helper()
		cas.look()
		pool, err := parseBundle(want)
		if err != nil {
			t.Fatal(err)
		}
		if !pool.Equal(cas.pool.Load()) {
			t.Errorf("%s: the authorities are not those they should be", what)
		}
	}
	put := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(good)
	expect("at first", good)
	put(nil)
	expect("an empty file", good)
	put([]byte("no certificate"))
	expect("a file of something else", good)
	put(bytes.Repeat(renewed, maxBundle/len(renewed)+1))
	expect("a file without end", good)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("no file", good)
	put(renewed)
	expect("another authority", renewed)
}
