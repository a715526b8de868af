package population

import (
	"fmt"

	"github.com/claviger-dev/claviger/internal/token"
)

// KeyLength is the length of every key, in bytes.
const KeyLength = len("ak_live_") + 32

// Keys are keys in plain text, one after the other.
type Keys []byte

// MakeKeys makes n of them.
func MakeKeys(n int) (Keys, error) {
	keys := make(Keys, 0, n*KeyLength)
	for range n {
		key, err := token.New("ak", "live")
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.Reveal()...)
	}
	if len(keys) != n*KeyLength {
		return nil, fmt.Errorf("keys are not %d bytes long any more: correct population.KeyLength", KeyLength)
	}
	return keys, nil
}

// Count is how many there are.
func (k Keys) Count() int { return len(k) / KeyLength }

// At is the key with a number.
func (k Keys) At(number int) string { return string(k[number*KeyLength : (number+1)*KeyLength]) }
