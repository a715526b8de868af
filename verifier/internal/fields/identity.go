package fields

// The headers that tell the service behind a gateway who is calling.
const (
	KeyID          = "X-Claviger-Key-Id"
	KeyName        = "X-Claviger-Key-Name"
	Namespace      = "X-Claviger-Namespace"
	WorkspaceID    = "X-Claviger-Workspace-Id"
	Environment    = "X-Claviger-Environment"
	ServiceAccount = "X-Claviger-Service-Account"
	Scopes         = "X-Claviger-Scopes"
)

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
