package sealing

import (
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/internal/token"
)

// Seal encrypts a key to recipients, each of which can read it, and returns that in age's armored form. The
// error is of a recipient that is none; it does not quote it.
func Seal(key token.Token, to []string) (string, error) {
	recipients, err := ParseRecipients(to)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	armored := armor.NewWriter(&text)
	plain, err := age.Encrypt(armored, recipients...)
	if err != nil {
		return "", fmt.Errorf("the key cannot be sealed: %w", err)
	}
	if _, err := plain.Write([]byte(key.Reveal())); err != nil {
		return "", err
	}
	if err := plain.Close(); err != nil {
		return "", err
	}
	if err := armored.Close(); err != nil {
		return "", err
	}
	return text.String(), nil
}
