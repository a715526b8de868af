package token

import (
	"math"
	"strings"
)

// enoughBits is what a key must be worth that others made. What is counted here is less than what a
// random text really has: sixteen random bytes in hexadecimal come to about 120, twenty random
// letters and digits to about 80.
const enoughBits = 72

// Guessable says whether a key that others made could be found by trying: it is short, repeats
// itself, counts up, or reads like words. SHA-256 is fast, so of such a key the hash is no
// protection. A key of which this is not said may be guessable all the same; whether it was really drawn at
// random, no text shows.
func Guessable(text string) bool { return strength(text) < enoughBits }

// strength estimates the bits of a text from above, as the least of several views of it.
func strength(text string) float64 {
	text = text[:period(text)]
	bits := min(entropy([]byte(text)), entropy(steps(text)))
	if likeWords(text) {
		bits = min(bits, wordBits*float64(len(text)))
	}
	return bits
}

// period is the length of what a text repeats; its own length, where it does not.
func period(text string) int {
	for p := 1; p <= len(text)/2; p++ {
		if strings.HasPrefix(text[p:], text[:len(text)-p]) {
			return p
		}
	}
	return len(text)
}

// entropy is that of the bytes as if each was drawn for itself (C. E. Shannon, A Mathematical Theory of
// Communication, 1948), in bits for all of them.
func entropy(text []byte) (bits float64) {
	var counts [256]int
	for _, c := range text {
		counts[c]++
	}
	for _, n := range counts {
		if n > 0 {
			bits -= float64(n) * math.Log2(float64(n)/float64(len(text)))
		}
	}
	return bits
}

// steps are the differences from byte to byte: all alike in abcdef or in 97531.
func steps(text string) []byte {
	if text == "" {
		return nil
	}
	differences := make([]byte, len(text)-1)
	for i := range differences {
		differences[i] = text[i+1] - text[i]
	}
	return differences
}

// wordBits are what a letter of English is worth at most, among words (C. E. Shannon, Prediction and
// Entropy of Printed English, 1951, has 0.6 to 1.3; more is allowed for separators and odd words).
const wordBits = 2

// likeWords says that a text has no digit, and letters of one case only. Of random text that is rare.
func likeWords(text string) bool {
	return !strings.ContainsAny(text, "0123456789") && (strings.ToLower(text) == text || strings.ToUpper(text) == text)
}
