package extauthz

import "github.com/claviger-dev/claviger/verifier/internal/fields"

// metadata tells other filters and Envoy's log what was decided, and about whose key. It is no
// secret to them: the client sees none of it.
func (x *exchange) metadata() {
	d := &x.decision
	out := &x.out
	out.BeginMetadata("claviger")
	out.Text("code", d.Code.String())
	if d.Valid() {
		// What is reported of the request goes by this, whatever its x-request-id is by then.
		out.Text("requestId", x.requestID())
		out.Text("tier", x.question.Labels.Tier)
		out.Text("resource", x.question.Resource)
	}
	if key := &d.Key; !key.ID.IsZero() {
		out.BeginText("keyId")
		out.Bytes = key.ID.Append(out.Bytes)
		out.EndText()
		out.Text("keyName", key.Name)
		out.Text("namespace", key.Namespace)
		out.Text("workspace", key.Workspace)
		out.Text("environment", key.Environment)
		out.Text("serviceAccount", key.ServiceAccount)
		out.Text("entityKind", key.Entity.Kind)
		out.Text("entityId", key.Entity.ID)
		out.Text("entityDepartment", key.Entity.Department)
		out.Texts("scopes", key.Scopes)
	}
	if d.Limits.Len() > 0 {
		out.BeginStruct("remaining")
		for i := range d.Limits.Len() {
			var name [64]byte
			out.Number(string(fields.AppendLimitName(name[:0], &d.Limits, i)), d.Limits.At(i).Remaining)
		}
		out.EndStruct()
	}
	out.EndMetadata()
}
