package verifier

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/limit"
)

// Known is who a key is, in whatever state it is; false where there is none with that ID, or it belongs to
// no workspace (any more).
func (v *Verifier) Known(id KeyID) (Key, bool) {
	var entry keyindex.Entry
	if !v.index.Find(id, &entry) {
		return Key{}, false
	}
	return identity(&entry.Record, ""), true
}

// Billing is how a workspace's billing periods lie, by its ID; false where there is no such workspace. It is for this
// module.
func (v *Verifier) Billing(workspace string) (*limit.Calendar, bool) {
	known, ok := v.index.Workspace(workspace)
	if !ok {
		return nil, false
	}
	return known.Billing, true
}

// KeepsLines is for how long a workspace, by its ID, keeps lines of its request log; false where there is no such
// workspace.
func (v *Verifier) KeepsLines(workspace string) (time.Duration, bool) {
	known, ok := v.index.Workspace(workspace)
	if !ok {
		return 0, false
	}
	return known.RequestLog.Retention, true
}

// LogsAll says whether a workspace, by its ID, keeps a line for each request, and not only for some.
func (v *Verifier) LogsAll(workspace string) bool {
	known, ok := v.index.Workspace(workspace)
	return ok && known.RequestLog.Retention > 0 && known.RequestLog.Percent >= 100
}

// Period is the billing period of a workspace, by its ID, that a moment lies in.
func (v *Verifier) Period(workspace string, at time.Time) (start, end time.Time) {
	calendar, ok := v.Billing(workspace)
	if !ok || calendar == nil {
		calendar = monthsInUTC
	}
	period := calendar.At(at)
	return period.Start, period.End
}

// ParseKeyID reads the text of a KeyID.
func ParseKeyID(text string) (KeyID, error) { return keyid.Parse(text) }
