package ask

import (
	"fmt"
	"io"
	"strings"
)

// Print writes a decision as a checklist, a sentence for each check.
func (d *Decision) Print(w io.Writer, question Question) error {
	var text strings.Builder
	if d.Valid {
		fmt.Fprintf(&text, "VALID: the request may pass.\n")
	} else {
		fmt.Fprintf(&text, "%s: the request is refused with status %d, %q.\n", d.Code, d.Status, d.Error)
	}
	if d.Key != nil {
		fmt.Fprintf(&text, "The key is that of ApiKey %s/%s in workspace %s.\n", d.Key.Namespace, d.Key.Name, d.Key.Workspace)
	}
	if len(d.Checks) > 0 {
		text.WriteString("\n")
	}
	for _, check := range d.Checks {
		mark := map[string]string{"passed": "✓", "failed": "✗", "skipped": "–"}[check.Outcome]
		decided := ""
		if check.Decided && !d.Valid {
			decided = " This decided."
		}
		fmt.Fprintf(&text, "%s %-10s %s%s\n", mark, check.Name, d.sentence(check, question), decided)
	}
	if len(d.Limits) > 0 {
		text.WriteString("\n")
	}
	for _, limit := range d.Limits {
		fmt.Fprintf(&text, "%s: %d of %d %s left, whole again at %s\n", limit.Name, limit.Remaining, limit.Limit, strings.ReplaceAll(limit.Unit, "-", " "), limit.ResetAt)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// passed says what each check has made sure of.
var passed = map[string]string{
	"key":        "It is a key that is known.",
	"workspace":  "It belongs to the workspace that was asked for.",
	"state":      "It is neither disabled nor revoked.",
	"suspension": "Neither its workspace nor its service account is suspended.",
	"expiry":     "It has not expired.",
	"address":    "It may be used from that address.",
	"resource":   "It may be used on that resource.",
	"scopes":     "It has the scopes that were asked for.",
	"limits":     "Its limits leave room for the request.",
}

// unasked says it of those that were asked about nothing.
var unasked = map[string]string{
	"workspace": "No workspace was asked for.",
	"address":   "It may be used from any address, or from this one.",
	"resource":  "No resource was asked for.",
	"scopes":    "No scope was asked for.",
}

// failed says what it means that a check failed, and what to do.
var failed = map[string]string{
	"KEY_REQUIRED":         "There is no key in the question.",
	"KEY_INVALID":          "It is no key that the verifier knows: it was mistyped, or its ApiKey, Workspace or ServiceAccount was deleted, or it was replaced.",
	"KEY_EXPIRED":          "It has expired: set a later end, or create another ApiKey.",
	"KEY_REVOKED":          "It was revoked, and that is final: create another ApiKey.",
	"KEY_DISABLED":         "It is disabled: set spec.state to Active to let it work again.",
	"WORKSPACE_SUSPENDED":  "Its Workspace is suspended: unset spec.suspended there.",
	"WORKSPACE_MISMATCH":   "It does not belong to the workspace that was asked for. To the client it looks like an unknown key.",
	"ACCOUNT_SUSPENDED":    "Its ServiceAccount is suspended: unset spec.suspended there.",
	"RESOURCE_DENIED":      "A grant of the key, or of its account, lets it do nothing on that resource.",
	"RATE_LIMITED":         "A rate is used up for now: wait until it is whole again.",
	"QUOTA_EXHAUSTED":      "Its quota is used up until it resets.",
	"BUDGET_EXHAUSTED":     "Its budget is used up until it resets.",
	"CONCURRENCY_EXCEEDED": "Too many of its requests are under way at once.",
	"LIMITS_UNAVAILABLE":   "Its limits could not be asked: see --limits-outage of the verifier.",
}

func (d *Decision) sentence(check Check, q Question) string {
	switch check.Outcome {
	case "skipped":
		return "Not looked at: " + skipped(d)
	case "passed":
		if text := unasked[check.Name]; text != "" && !asked(check.Name, q) {
			return text
		}
		return known(passed, check.Name, "It passed.")
	}
	switch check.Code {
	case "SCOPE_INSUFFICIENT":
		return d.missing(q)
	case "ADDRESS_DENIED":
		if q.ClientIP == "" {
			return "It may be used from certain networks only, and no address was asked about: give --ip."
		}
		return "It may not be used from " + q.ClientIP + ": see spec.allowedCIDRs of its ApiKey."
	case "RATE_LIMITED":
		if check.Name == "source" {
			return "Too many invalid keys came from where this question comes from: wait a minute."
		}
	}
	return known(failed, check.Code, "It failed ("+check.Code+").")
}

func known(texts map[string]string, name, otherwise string) string {
	if text := texts[name]; text != "" {
		return text
	}
	return otherwise
}

func skipped(d *Decision) string {
	if d.Valid {
		return "there was nothing to look at."
	}
	return "it could change nothing any more."
}

func asked(name string, q Question) bool {
	switch name {
	case "workspace":
		return q.Workspace != ""
	case "address":
		return q.ClientIP != ""
	case "resource":
		return q.Resource != ""
	}
	return q.Scopes != nil
}

// missing tells what was asked for and what the key has.
func (d *Decision) missing(q Question) string {
	var parts []string
	if q.Scopes != nil && len(q.Scopes.AllOf) > 0 {
		parts = append(parts, "all of "+strings.Join(q.Scopes.AllOf, ", "))
	}
	if q.Scopes != nil && len(q.Scopes.AnyOf) > 0 {
		parts = append(parts, "one of "+strings.Join(q.Scopes.AnyOf, ", "))
	}
	have := "nothing"
	if d.Key != nil && len(d.Key.Scopes) > 0 {
		have = strings.Join(d.Key.Scopes, ", ")
	}
	return fmt.Sprintf("Asked for was %s, and the key has %s: add what is missing to spec.scopes of its ApiKey, within the Workspace's catalogue.", strings.Join(parts, " and "), have)
}
