package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestGuessableKeysAreToldFromRandomOnes(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                     true,
		"secret":                               true,
		"changeme":                             true,
		"password1234567890":                   true,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":     true,
		"abcdefghijklmnopqrstuvwxyz0123456789": true,
		"0123456789012345678901234567890123456789":                         true,
		"deadbeefdeadbeefdeadbeefdeadbeef":                                 true,
		"correct horse battery staple":                                     true,
		"my-very-secret-api-key":                                           true,
		"00000000-0000-0000-0000-000000000000":                             true,
		"5f2b9c41-7d0e-4a3b-9c6d-1e8f70a2b4c5":                             false,
		"AKIDz8krbsJ5yKBZQpn74WFkmLPx3gwP":                                 false,
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzqWmTk3dLh":                         false,
		"9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de": false, // repeats, but what it repeats is enough
	} {
		if got := Guessable(text); got != want {
			t.Errorf("guessable %q: %v (%.0f bits), want %v", text, got, strength(text), want)
		}
	}
}

// Nobody's random key may be refused. In this many, one that was refused by chance would be seen.
func TestRandomKeysAreNotGuessable(t *testing.T) {
	random := func(n int) []byte {
		b := make([]byte, n)
		rand.Read(b) //nolint:errcheck // it does not fail
		return b
	}
	for range 20000 {
		made, err := New("ak", "live")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			made.Reveal(), hex.EncodeToString(random(16)), base64.RawURLEncoding.EncodeToString(random(18)),
			base64.StdEncoding.EncodeToString(random(32)),
		} {
			if Guessable(text) {
				t.Fatalf("%q is taken to be guessable, at %.0f bits", text, strength(text))
			}
		}
	}
}

func FuzzGuessable(f *testing.F) {
	f.Add("abc")
	f.Add(strings.Repeat("xy", 300))
	f.Fuzz(func(t *testing.T, text string) {
		if bits := strength(text); bits < 0 || bits > 8*float64(len(text)) {
			t.Errorf("%q has %.1f bits", text, bits)
		}
	})
}
