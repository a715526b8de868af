package presented

import "math/rand/v2"

const maxRequestIDLength = 128

// RequestID is the ID that a request came with, if that may be repeated, or a new one.
func RequestID(sent string) string {
	if ValidRequestID(sent) {
		return sent
	}
	return newRequestID()
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
