// Package sealing encrypts keys to age recipients, and tells which texts are such recipients.
package sealing

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// The post-quantum recipients of age, which need their own parser.
const hybrid = "age1pq1"

// Bytes of the key that age encrypts a file with, and wraps for each recipient.
const fileKeySize = 16

// ParseRecipients reads age public keys: age1..., or age1pq1... for those that withstand quantum computers.
// The error names a text that is none by its place in the list, from 0, and does not quote it: it may be an identity
// that was pasted by mistake. Kinds of one list do not mix, because a key is only as well sealed as to the weakest.
func ParseRecipients(texts []string) ([]age.Recipient, error) {
	if len(texts) == 0 {
		return nil, errors.New("there are no recipients: name at least one age public key")
	}
	list := make([]age.Recipient, 0, len(texts))
	for i, text := range texts {
		if strings.HasPrefix(text, hybrid) != strings.HasPrefix(texts[0], hybrid) {
			return nil, RecipientError{i, "is of another kind than the first: use recipients that all begin with " + hybrid + ", or none"}
		}
		recipient, err := parseRecipient(text)
		if err != nil {
			return nil, RecipientError{i, "is no age public key: give what age-keygen shows as public key, age1..., whole and without spaces"}
		}
		list = append(list, recipient)
	}
	return list, nil
}

func parseRecipient(text string) (age.Recipient, error) {
	if strings.HasPrefix(text, hybrid) {
		return age.ParseHybridRecipient(text)
	}
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, err
	}
	// Some texts are well-formed and yet no key: to a point of low order nothing can be sealed.
	_, err = recipient.Wrap(make([]byte, fileKeySize))
	return recipient, err
}

// RecipientError says what is wrong with one of several recipients.
type RecipientError struct {
	// Index is its place in the list, from 0.
	Index int
	// Fault continues a sentence that begins with what the recipient is called.
	Fault string
}

// Error names the recipient by its place, and does not quote it.
func (e RecipientError) Error() string { return fmt.Sprintf("recipient %d %s", e.Index, e.Fault) }
