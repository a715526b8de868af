package validation

import (
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// A prefix passes if and only if a key can be made with it and read again.
func FuzzPrefix(f *testing.F) {
	for _, seed := range []string{"ak", "a", "1a", "a_b", "A", "é", "abcdefghijklmnop", "abcdefghijklmnopq", "a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			t.Skip("no prefix")
		}
		passes := len(prefix(field.NewPath("prefix"), text)) == 0
		key, err := token.New(text, "live")
		if passes != (err == nil) {
			t.Fatalf("prefix %q passes: %v, but a key with it: %v", text, passes, err)
		}
		if _, err := token.Parse(key.Reveal()); passes && err != nil {
			t.Fatalf("a key with prefix %q is not read again: %v", text, err)
		}
	})
}

// A network that passes is one that the verifier compiles, that holds its own first address as
// a caller's address is compared, and that reads the same when it is written again.
func FuzzNetwork(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::/0", "::ffff:10.0.0.0/104", "10.0.0.1/8", "1.2.3.4/32", "fe80::%1/64"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(network(field.NewPath("cidr"), v1alpha1.CIDR(text))) > 0 {
			t.Skip("refused")
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Contains(prefix.Addr().Unmap()) || prefix.Masked() != prefix {
			t.Fatalf("%q passes, but reads %v, %v", text, prefix, err)
		}
	})
}
