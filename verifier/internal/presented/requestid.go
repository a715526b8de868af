package presented

import (
	"math/rand/v2"
	"strings"
)

const maxRequestIDLength = 128

// RequestID is the ID that a request came with, if that may be repeated, or a new one.
func RequestID(sent string) string {
	if ValidRequestID(sent) {
		return sent
	}
	return newRequestID()
}

// RequestIDBeside is RequestID of a request that bears a key, which an ID must not hold either: one of another format does
// not show by its form.
func RequestIDBeside(sent, key string) string {
	if HoldsKey(sent, key) {
		return newRequestID()
	}
	return RequestID(sent)
}

// shortestKey is what a key must have at least, in bytes, to be looked for within texts: those that were brought along may be of
// any length, and to withhold each text with an "a" in it would protect nobody.
const shortestKey = 8

// HoldsKey says whether a text has a certain key in it.
func HoldsKey(text, key string) bool {
	return len(key) >= shortestKey && strings.Contains(text, key)
}

// LogID is a request's ID as logs and traces may have it: not if it is a key that was brought along. The answer must not differ by
// that. Keys could be tried as IDs of requests, without being slowed down; and who asks has sent it.
func (f Foreign) LogID(id string) string {
	if f.is(id) {
		return "(redacted)"
	}
	return id
}

// newRequestID makes an ID that is random enough to be the only one, and no secret.
func newRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // RFC 4648 base32
	var id [24]byte
	for half := range 2 {
		bits := rand.Uint64()
		for i := range len(id) / 2 {
			id[half*len(id)/2+i] = alphabet[bits%uint64(len(alphabet))]
			bits /= uint64(len(alphabet))
		}
	}
	return string(id[:])
}

// ValidRequestID accepts what can stand in a header, in JSON and in a log as it is. A key that
// somebody sent here by mistake cannot: it would be repeated in all of them.
func ValidRequestID(id string) bool { return len(id) <= maxRequestIDLength && ValidReportedID(id) }

// MaxReportedIDLength leaves room for what tells the questions of a batch apart.
const MaxReportedIDLength = maxRequestIDLength + len("-00")

// ValidReportedID accepts an ID that a door may have given to a request, or to a question of a batch.
func ValidReportedID(id string) bool {
	if id == "" || len(id) > MaxReportedIDLength || LooksLikeKey(id) {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
