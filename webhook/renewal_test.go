package webhook

import (
	"bytes"
	"crypto/x509"
	"maps"
	"slices"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	both  = renewal{names: []string{"claviger-webhook.claviger-system.svc", "localhost"}}
)

const day = 24 * time.Hour

func (r renewal) mustRenew(t *testing.T, data map[string][]byte, now time.Time) map[string][]byte {
	t.Helper()
	renewed, err := r.renew(data, now)
	if err != nil || renewed == nil {
		t.Fatalf("nothing was renewed: %v", err)
	}
	return renewed
}

// requireTrusted checks a server's certificate as the API server would.
func requireTrusted(t *testing.T, bundle, certPEM []byte, name string, now time.Time) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatal("the bundle holds no certificate")
	}
	cert := firstCertificate(certPEM)
	if cert == nil {
		t.Fatal("there is no certificate")
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
		t.Errorf("the certificate is not trusted for %s at %v: %v", name, now, err)
	}
}

func TestRenewal(t *testing.T) {
	first := both.mustRenew(t, nil, start)
	with := func(name string, content []byte) map[string][]byte {
		data := maps.Clone(first)
		data[name] = content
		return data
	}
	more := renewal{names: append(slices.Clone(both.names), "claviger-verifier-admin.claviger-system.svc")}
	other := both.mustRenew(t, nil, start)

	for _, c := range []struct {
		name          string
		renewal       renewal
		data          map[string][]byte
		now           time.Time
		nothing       bool
		sameAuthority bool
	}{
		{"what is good is left alone", both, first, start, true, true},
		{"until 90 days before the certificate ends", both, first, start.Add(serverLifetime - renewBefore - time.Hour), true, true},
		{"a certificate near its end is renewed by the same authority", both, first, start.Add(serverLifetime - renewBefore + time.Hour), false, true},
		{"an authority near its end is renewed", both, first, start.Add(authorityLifetime - renewBefore + time.Hour), false, false},
		{"an authority that ended is renewed", both, first, start.Add(authorityLifetime + day), false, false},
		{"a lost certificate is made again", both, with(certFile, nil), start, false, true},
		{"a key that does not fit is made again", both, with(keyFile, other[keyFile]), start, false, true},
		{"a certificate by another authority is made again", both, with(certFile, other[certFile]), start, false, true},
		{"an authority without its key is useless", both, with(caKeyFile, nil), start, false, false},
		{"an authority with another's key is useless", both, with(caKeyFile, other[caKeyFile]), start, false, false},
		{"noise is no authority", both, with(caFile, []byte("noise")), start, false, false},
		{"a name that was added is added", more, first, start, false, true},
		{"a name that is no longer asked for does no harm", renewal{names: both.names[:1]}, first, start, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			renewed, err := c.renewal.renew(c.data, c.now)
			if err != nil {
				t.Fatal(err)
			}
			if c.nothing {
				if renewed != nil {
					t.Error("was renewed")
				}
				return
			}
			for _, name := range c.renewal.names {
				requireTrusted(t, renewed[caFile], renewed[certFile], name, c.now)
			}
			if same := bytes.Equal(renewed[caFile], first[caFile]); same != c.sameAuthority {
				t.Errorf("same authority: %v", same)
			}
			if again, err := c.renewal.renew(renewed, c.now); again != nil || err != nil {
				t.Errorf("what was just made is not good enough: %v", err)
			}
		})
	}
}

// While replicas hear of a new authority one after the other, some still show what the old
// one signed.
func TestAnOldAuthorityStaysTrustedUntilItEnds(t *testing.T) {
	first := both.mustRenew(t, nil, start)
	due := start.Add(authorityLifetime - renewBefore + time.Hour)
	lastOfFirst := both.mustRenew(t, first, due.Add(-2*time.Hour))
	second := both.mustRenew(t, lastOfFirst, due)
	requireTrusted(t, second[caFile], lastOfFirst[certFile], "localhost", due)
	requireTrusted(t, second[caFile], second[certFile], "localhost", due)

	third := both.mustRenew(t, second, due.Add(authorityLifetime-renewBefore+time.Hour))
	if n := bytes.Count(third[caFile], []byte("BEGIN CERTIFICATE")); n != 2 {
		t.Errorf("the bundle has grown to %d", n)
	}
}

// During an upgrade the old version and the new one may ask for different names.
func TestDifferentNamesDoNotFight(t *testing.T) {
	old := renewal{names: []string{"localhost", "old.example"}}
	upgraded := renewal{names: []string{"localhost", "new.example"}}
	data := upgraded.mustRenew(t, old.mustRenew(t, nil, start), start)
	for _, r := range []renewal{old, upgraded} {
		if renewed, err := r.renew(data, start); renewed != nil || err != nil {
			t.Errorf("%v is renewed again: %v", r.names, err)
		}
	}
}
