// Package explain says in sentences why a key works or does not. It only looks at what it is given.
package explain

import (
	"fmt"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Presence is what is known of an object.
type Presence int

// An object may be one that the user may not read.
const (
	Unknown Presence = iota
	Missing
	Present
)

// Facts are what to go by.
type Facts struct {
	Key *v1alpha1.ApiKey
	// Workspace and Account are those that the key names; nil unless they are Present.
	Workspace      *v1alpha1.Workspace
	WorkspaceFound Presence
	Account        *v1alpha1.ServiceAccount
	AccountFound   Presence
	// Limits are those of the key alone, by name; nil for one that is missing.
	Limits map[string]*v1alpha1.KeyLimit
	// Secret is whether the Secret that the key is delivered to is there.
	Secret Presence
	// Events of the key, the newest first.
	Events []eventsv1.Event
	// Hidden are the rights that were missing while all this was gathered.
	Hidden []string
}

// Explanation is what there is to say, the most important first in each part.
type Explanation struct {
	// Verdict is one sentence: whether the key works.
	Verdict string
	// Reasons are why it does not, and what to do.
	Reasons []string
	// Soon is what will happen, or should.
	Soon []string
	// Notes are how it is.
	Notes []string
	// Events are what was told of it lately.
	Events []string
	// Unseen is what could not be looked at.
	Unseen []string
}

// Key explains a key at a time.
func Key(f Facts, now time.Time) Explanation {
	e := Explanation{
		Reasons: reasons(f, now), Soon: soon(f, now), Notes: notes(f, now), Events: events(f.Events, now), Unseen: f.Hidden,
	}
	e.Verdict = verdict(f, len(e.Reasons) > 0, now)
	return e
}

func verdict(f Facts, reasons bool, now time.Time) string {
	name := "ApiKey " + f.Key.Namespace + "/" + f.Key.Name
	switch {
	case f.Key.Spec.State == v1alpha1.KeyRevoked:
		return name + " does not work, and never will: it is revoked."
	case f.Key.Status.State == v1alpha1.ReasonActive && !stopped(f, now):
		if stale(f.Key) || condition(f.Key, v1alpha1.ConditionStalled) || reasons {
			return name + " works, but not all is as it was asked to be."
		}
		return name + " works."
	case f.Key.Status.KeyID == "" && f.Key.Status.IssuedAt == nil:
		return name + " has no key yet."
	}
	return name + " does not work now."
}

// stopped says whether something stops the key that its status may not tell yet.
func stopped(f Facts, now time.Time) bool {
	end := f.Key.Status.ExpiresAt
	return f.Key.Spec.State == v1alpha1.KeyDisabled || end != nil && !end.After(now) ||
		f.WorkspaceFound == Missing || f.AccountFound == Missing ||
		f.Workspace != nil && f.Workspace.Spec.Suspended || f.Account != nil && f.Account.Spec.Suspended
}

func stale(key *v1alpha1.ApiKey) bool { return key.Status.ObservedGeneration < key.Generation }

func condition(key *v1alpha1.ApiKey, name string) bool {
	return apimeta.IsStatusConditionTrue(key.Status.Conditions, name)
}

// ago and until write a time as people say it.
func ago(at metav1.Time, now time.Time) string {
	return fmt.Sprintf("%s ago (%s)", duration.HumanDuration(max(0, now.Sub(at.Time))), at.UTC().Format(time.RFC3339))
}

func until(at metav1.Time, now time.Time) string {
	return fmt.Sprintf("in %s (%s)", duration.HumanDuration(max(0, at.Sub(now))), at.UTC().Format(time.RFC3339))
}

const maxEvents = 5

func events(all []eventsv1.Event, now time.Time) (lines []string) {
	for _, event := range all[:min(len(all), maxEvents)] {
		lines = append(lines, fmt.Sprintf("%s ago, %s: %s", duration.HumanDuration(max(0, now.Sub(At(&event)))), event.Reason, event.Note))
	}
	return lines
}

// At is when an event last happened.
func At(event *eventsv1.Event) time.Time {
	if event.Series != nil {
		return event.Series.LastObservedTime.Time
	}
	if !event.EventTime.IsZero() {
		return event.EventTime.Time
	}
	if !event.DeprecatedLastTimestamp.IsZero() {
		return event.DeprecatedLastTimestamp.Time
	}
	return event.CreationTimestamp.Time
}
