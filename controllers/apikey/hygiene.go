package apikey

import (
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers/status"
	"github.com/claviger-dev/claviger/internal/credential"
)

// advise sets the conditions that advise a person, and takes off those that do not hold. None of them
// is a fault: the key is as it was asked to be.
func (s *scope) advise(conditions *status.Conditions, state string) {
	if within, end, near := s.nearExpiry(state); near {
		conditions.Set(v1alpha1.ConditionNearExpiry, true, reasonWithin(within), fmt.Sprintf(
			"The key ends at %s, and nothing renews it: set a later end, regenerate it, or set rotation.every", end.UTC().Format(time.RFC3339)))
	} else {
		conditions.Remove(v1alpha1.ConditionNearExpiry)
	}
	if since, unused := s.unused(state); unused {
		conditions.Set(v1alpha1.ConditionUnused, true, v1alpha1.ConditionUnused, fmt.Sprintf(
			"The key was not used since %s: revoke it, if nobody needs it", since.UTC().Format(time.RFC3339)))
	} else if !s.usageTold || !s.usageKnownUntil.IsZero() {
		conditions.Remove(v1alpha1.ConditionUnused) // while usage cannot be read, what was true of it stays
	}
	if s.previousInUse() {
		conditions.Set(v1alpha1.ConditionPreviousKeyInUse, true, v1alpha1.ConditionPreviousKeyInUse, fmt.Sprintf(
			"The replaced key was used at %s, and stops working at %s: find out who has not taken up the new one",
			s.previousUsedAt().UTC().Format(time.RFC3339), s.previousEnd().UTC().Format(time.RFC3339)))
	} else {
		conditions.Remove(v1alpha1.ConditionPreviousKeyInUse)
	}
}

// reasonWithin names how near the end is as a reason may be written: Within336h.
func reasonWithin(within time.Duration) string {
	if within%time.Hour == 0 {
		return fmt.Sprintf("Within%dh", within/time.Hour)
	}
	return fmt.Sprintf("Within%ds", within/time.Second)
}

// nearExpiry says which of the workspace's warning times the key has come into, the shortest, and when it
// ends. A key that is rotated before is not near its end.
func (s *scope) nearExpiry(state string) (within time.Duration, end time.Time, near bool) {
	end, ends := s.end()
	if !ends || state == v1alpha1.ReasonExpired || state == v1alpha1.ReasonRevoked || s.isRotatedBefore(end) {
		return 0, end, false
	}
	for _, warning := range s.references.workspace.ExpiryWarnings() {
		if !s.now.Before(end.Add(-warning)) && (!near || warning < within) {
			within, near = warning, true
		}
	}
	return within, end, near
}

func (s *scope) isRotatedBefore(end time.Time) bool {
	next := s.nextRotation()
	return !next.IsZero() && next.Before(end) && s.key.Spec.ExpiresAt == nil // which no rotation moves
}

// end is when the current key ends; false: it does not, or there is none, or nobody knows its workspace.
func (s *scope) end() (time.Time, bool) {
	c := s.issued()
	if c == nil || s.references.workspace == nil {
		return time.Time{}, false
	}
	end := c.End(&s.key.Spec)
	return end, !end.IsZero()
}

// unused says since when nobody used the key, if that is for as long as the workspace asks about. As far as usage
// is not known nothing is said.
func (s *scope) unused(state string) (since time.Time, unused bool) {
	w := s.references.workspace
	c := s.issued()
	if c == nil || w == nil || w.Spec.Keys.UnusedAfter == nil || state != v1alpha1.ReasonActive || s.usageKnownUntil.IsZero() {
		return time.Time{}, false
	}
	since = s.usedAt(c)
	return since, !s.usageKnownUntil.Before(since.Add(w.Spec.Keys.UnusedAfter.Duration))
}

// usedAt is when the key was last used, as far as its status tells: not before it was issued.
func (s *scope) usedAt(c *credential.Credential) time.Time {
	if usage := s.key.Status.Usage; usage != nil && usage.LastUsedAt != nil && usage.LastUsedAt.After(c.IssuedAt) {
		return usage.LastUsedAt.Time
	}
	return c.IssuedAt
}

// moments are the times at which something changes by time alone.
func (s *scope) moments() (times []time.Time) {
	times = append(times, s.nextRotation())
	if s.material.previous() != nil {
		if overlap := s.overlapEnd(); !overlap.IsZero() {
			times = append(times, overlap, overlap.Add(-s.key.Spec.Rotation.Overlap.Duration/nearEnd), s.unusedAt())
		}
		times = append(times, s.previousEnds()...)
	}
	if end, ends := s.end(); ends {
		times = append(times, end)
		for _, warning := range s.references.workspace.ExpiryWarnings() {
			times = append(times, end.Add(-warning))
		}
		if retain := s.references.workspace.Spec.Keys.RetainExpired; retain != nil {
			times = append(times, end.Add(retain.Duration))
		}
	}
	if w, c := s.references.workspace, s.issued(); w != nil && c != nil && w.Spec.Keys.UnusedAfter != nil {
		times = append(times, s.usedAt(c).Add(w.Spec.Keys.UnusedAfter.Duration))
	}
	return times
}

// previousEnds are the ends of the keys that were replaced.
func (s *scope) previousEnds() (ends []time.Time) {
	for _, h := range s.material.hashed {
		if end := h.credential.NotAfter; end != nil {
			ends = append(ends, *end)
		}
	}
	return ends
}

// usageRetry is how often to look whether usage is known far enough, once that alone is waited for. Nothing tells
// of a key that is not used.
const usageRetry = 15 * time.Second

// awaitsUsage says that something would have changed by now if usage were known up to now.
func (s *scope) awaitsUsage() bool {
	if !s.usageTold {
		return false // it never will be
	}
	if s.material.previous() != nil && s.now.Before(s.overlapEnd()) {
		if unused := s.unusedAt(); !unused.IsZero() && !s.now.Before(unused) {
			return true
		}
	}
	w, c := s.references.workspace, s.issued()
	if w == nil || c == nil || w.Spec.Keys.UnusedAfter == nil || s.state() != v1alpha1.ReasonActive {
		return false
	}
	_, unused := s.unused(v1alpha1.ReasonActive)
	return !unused && !s.now.Before(s.usedAt(c).Add(w.Spec.Keys.UnusedAfter.Duration))
}

// untilNext is how long it takes until the next of the moments; zero: none is to come.
func (s *scope) untilNext() time.Duration {
	var next time.Duration
	if s.awaitsUsage() {
		next = usageRetry
	}
	for _, moment := range s.moments() {
		if left := moment.Sub(s.now); left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}
