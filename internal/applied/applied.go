// Package applied is what a verifier tells the operator about how far it has come: which version
// of each resource it has taken in, so that the operator knows when a revocation holds everywhere.
package applied

import (
	"strconv"
	"time"
)

// Path is where a verifier tells it, on its protected port.
const Path = "/applied"

// Report is what a verifier tells.
type Report struct {
	// Verifier tells one process from others, and from an earlier one at the same address.
	Verifier string `json:"verifier"`
	// Versions are the resource versions up to which everything is in the index, by the plural name
	// of the resource: apikeys, secrets, workspaces, serviceaccounts, keylimits. One that was not listed
	// yet is missing.
	Versions map[string]string `json:"versions"`
	// CountedUntil is a moment before which all that this verifier decided is in its store of usage: what waits for that
	// longer, because the store is away, is nobody's to read yet. Absent: that is not known, as while it has not
	// stored what an earlier process left, or of a verifier of before.
	CountedUntil time.Time `json:"countedUntil,omitzero"`
	// Continues names earlier processes which left usage in its journal: what they had not stored, it does.
	Continues []string `json:"continues,omitempty"`
}

// Reached says whether everything up to a version of a resource is in the index. Resource versions
// grow as numbers do, as KEP-5504 (Comparable Resource Version) has it; one that is no number is never reached.
func (r Report) Reached(resource, version string) bool {
	wanted, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return false
	}
	have, err := strconv.ParseUint(r.Versions[resource], 10, 64)
	return err == nil && have >= wanted
}
