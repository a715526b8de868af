package verifier

import "github.com/claviger-dev/claviger/internal/keyindex"

// Holds says whether the KeyLimit with a UID holds for a key now and is enforced. While the keys are not
// known yet all limits do. It is for this module: what a limit refused is over when it holds no more.
func (v *Verifier) Holds(key KeyID, limit string) bool {
	if v.Ready() != nil {
		return true
	}
	var entry keyindex.Entry
	if !v.index.Find(key, &entry) {
		return false
	}
	for i := range entry.Limits {
		if l := &entry.Limits[i]; l.Group == 0 && string(l.ID) == limit {
			return true
		}
	}
	return false
}
