package grouping

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/claviger-dev/claviger/internal/usage"
)

// Hash is what a series is found by: sixteen bytes over all of it, so that its index holds no texts.
type Hash [16]byte

// HashOf is the hash of a series. It is stored, so it must never change.
func HashOf(s *usage.Series) (hash Hash) {
	in := append(make([]byte, 0, 256), s.Key[:]...)
	for _, text := range texts(s) {
		in = binary.AppendUvarint(in, uint64(len(text)))
		in = append(in, text...)
	}
	sum := sha256.Sum256(in)
	copy(hash[:], sum[:])
	return hash
}

// texts are a series' dimensions but for the key, in the order of the columns of the table.
func texts(s *usage.Series) [11]string {
	return [...]string{
		s.Workspace, s.ServiceAccount, s.EntityKind, s.EntityID, s.Department, s.Environment,
		s.Status.String(), s.Error, s.Tier, s.Domain, s.Resource,
	}
}

// Columns are the names of those columns.
const Columns = "workspace, service_account, entity_kind, entity_id, department, environment, status, error, tier, domain, resource"

// MaxSum is usage.MaxSum in a statement.
const MaxSum = "9007199254740992"

// Texts are the values for Columns.
func Texts(s *usage.Series) []string {
	all := texts(s)
	return all[:]
}

// RequestHash stands for the ID of a request that was reported.
func RequestHash(id string) Hash {
	sum := sha256.Sum256([]byte(id))
	return Hash(sum[:16])
}
