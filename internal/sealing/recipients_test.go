package sealing

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestRecipients(t *testing.T) {
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	quantum, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	one, two := classic.Recipient().String(), quantum.Recipient().String()
	// A public key of nothing but zeros, with a good checksum: well-formed, and yet nothing can be sealed to it.
	const zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"
	for _, c := range []struct {
		name  string
		texts []string
		index int // -1: all are good
	}{
		{"one", []string{one}, -1},
		{"one that withstands quantum computers", []string{two}, -1},
		{"several", slices.Repeat([]string{one}, 16), -1},
		{"kinds that are mixed", []string{one, two}, 1},
		{"and the other way round", []string{two, one}, 1},
		{"an identity", []string{one, classic.String()}, 1},
		{"a typo", []string{strings.Replace(one, one[10:11], "b", 1)}, 0},
		{"a part", []string{one[:40]}, 0},
		{"capitals", []string{strings.ToUpper(one)}, 0},
		{"a space", []string{one + " "}, 0},
		{"an SSH key", []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"}, 0},
		{"a point of low order", []string{zero}, 0},
		{"nothing", []string{""}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := ParseRecipients(c.texts)
			if c.index < 0 {
				if err != nil || len(list) != len(c.texts) {
					t.Errorf("got %d, %v", len(list), err)
				}
				return
			}
			var fault RecipientError
			if !errors.As(err, &fault) || fault.Index != c.index {
				t.Fatalf("got %v, want a fault at %d", err, c.index)
			}
			if text := c.texts[c.index]; text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("the text, which may be an identity, is quoted: %v", err)
			}
		})
	}
	if _, err := age.ParseX25519Recipient(zero); err != nil {
		t.Errorf("the point of low order is refused for another fault: %v", err)
	}
	if _, err := ParseRecipients(nil); err == nil {
		t.Error("none at all are not refused")
	}
}
