// Package identity makes age identities that live as long as the process and reads what was sealed
// to them. None is ever written anywhere.
package identity

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

// ErrOthers says that a key is sealed, but to others.
var ErrOthers = errors.New("the key is sealed to other recipients: somebody changed spec.delivery.recipients meanwhile; ask again")

// Identity is what sealed keys are read with.
type Identity struct{ secret *age.X25519Identity }

// New makes one.
func New() (*Identity, error) {
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("cannot make an identity to seal the key to: %w", err)
	}
	return &Identity{secret}, nil
}

// Recipient is its public half, to be put into a delivery.
func (i *Identity) Recipient() v1alpha1.Recipient {
	return v1alpha1.Recipient(i.secret.Recipient().String())
}

// String keeps the secret half out of logs and messages.
func (i *Identity) String() string { return string(i.Recipient()) }

// GoString is for %#v.
func (i *Identity) GoString() string { return i.String() }

// Sealed says whether there is a key that is sealed to this identity.
func (i *Identity) Sealed(to *v1alpha1.SealedKey) bool {
	return to != nil && slices.Contains(to.Recipients, i.Recipient())
}

// Open reads a sealed key. The error is ErrOthers where it is sealed to somebody else.
func (i *Identity) Open(ciphertext string) (token.Token, error) {
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(ciphertext)), i.secret)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return token.Token{}, ErrOthers
	}
	if err != nil {
		return token.Token{}, fmt.Errorf("status.sealed.ciphertext cannot be read as age's armored form: %w", err)
	}
	// A byte more than the longest key, so that what is longer is not taken for one.
	text, err := io.ReadAll(io.LimitReader(plain, int64(token.MaxLength)+1))
	if err != nil {
		return token.Token{}, fmt.Errorf("status.sealed.ciphertext is damaged: %w", err)
	}
	key, err := token.Parse(string(text))
	if err != nil {
		return token.Token{}, fmt.Errorf("what is sealed in status.sealed.ciphertext is %w", err)
	}
	return key, nil
}
