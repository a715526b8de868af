package fields

import "github.com/claviger-dev/claviger/verifier"

// IdentityNames are the headers that tell the service behind a gateway who is calling.
var IdentityNames = [...]string{
	"X-Claviger-Key-Id",
	"X-Claviger-Key-Name",
	"X-Claviger-Namespace",
	"X-Claviger-Workspace-Id",
	"X-Claviger-Environment",
	"X-Claviger-Service-Account",
	"X-Claviger-Scopes",
	"X-Claviger-Entity-Kind",
	"X-Claviger-Entity-Id",
	"X-Claviger-Entity-Department",
}

// AppendIdentity appends the value of one of the IdentityNames; nothing where it says nothing.
func AppendIdentity(b []byte, i int, key *verifier.Key) []byte {
	switch i {
	case 0:
		return key.ID.Append(b)
	case 1:
		return append(b, Value(key.Name)...)
	case 2:
		return append(b, Value(key.Namespace)...)
	case 3:
		return append(b, Value(key.Workspace)...)
	case 4:
		return append(b, Value(key.Environment)...)
	case 5:
		return append(b, Value(key.ServiceAccount)...)
	case 6:
		return AppendWords(b, key.Scopes)
	case 7:
		return append(b, Value(key.Entity.Kind)...)
	case 8:
		return append(b, Value(key.Entity.ID)...)
	default:
		return append(b, Value(key.Entity.Department)...)
	}
}

// Value lets nothing into a header that could end it. The schema lets no such thing come this
// far.
func Value(value string) string {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return ""
		}
	}
	return value
}
