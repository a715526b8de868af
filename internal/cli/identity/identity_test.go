package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func seal(t *testing.T, plain string, to *Identity) string {
	t.Helper()
	var text strings.Builder
	armored := armor.NewWriter(&text)
	w, err := age.Encrypt(armored, to.secret.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(plain))
	w.Close()
	armored.Close()
	return text.String()
}

func make2(t *testing.T) (mine, others *Identity) {
	t.Helper()
	mine, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if others, err = New(); err != nil {
		t.Fatal(err)
	}
	return mine, others
}

func TestWhatIsSealedToAnIdentityIsReadWithIt(t *testing.T) {
	mine, others := make2(t)
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	got, err := mine.Open(seal(t, key.Reveal(), mine))
	if err != nil || got.Reveal() != key.Reveal() {
		t.Errorf("another key, or none: %v", err)
	}
	if _, err := mine.Open(seal(t, key.Reveal(), others)); !errors.Is(err, ErrOthers) {
		t.Errorf("sealed to somebody else: %v", err)
	}
	status := &v1alpha1.SealedKey{Recipients: []v1alpha1.Recipient{mine.Recipient()}}
	if !mine.Sealed(status) || others.Sealed(status) || mine.Sealed(nil) {
		t.Error("whom a key is sealed to is not told by its recipients")
	}
}

func TestWhatIsNoSealedKeyIsRefused(t *testing.T) {
	mine, _ := make2(t)
	whole := seal(t, "no key at all", mine)
	for name, text := range map[string]string{
		"empty": "", "no age": "hello", "cut off": whole[:len(whole)/2], "no key in it": whole,
		"far too long": seal(t, strings.Repeat("a", 1<<20), mine),
	} {
		if _, err := mine.Open(text); err == nil || strings.Contains(err.Error(), "no key at all") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnIdentityShowsOnlyItsPublicHalf(t *testing.T) {
	mine, _ := make2(t)
	for _, text := range []string{fmt.Sprint(mine), fmt.Sprintf("%#v", mine), fmt.Sprintf("%v", mine)} {
		if text != string(mine.Recipient()) {
			t.Errorf("shown as %q", text)
		}
	}
}
