package usage

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// What the API server is given before it is asked again, doubled with each failure.
const (
	firstRetry   = time.Second
	slowestRetry = time.Minute
	// What the API server asks for itself may be longer, up to this.
	longestAsked = 10 * time.Minute
	writeTimeout = 30 * time.Second
)

// writeAll writes whatever the schedule says, until ctx ends.
func (w *WriteBack) writeAll(ctx context.Context) {
	failures := 0
	for {
		w.mu.Lock()
		e, wait := w.schedule.next(w.clock.Now())
		w.mu.Unlock()
		if e != nil {
			failures = w.settle(ctx, e, failures)
			continue
		}
		// The schedule's forever is left to the channels: no timer is needed.
		var due <-chan time.Time
		if wait < forever {
			due = w.clock.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.observed:
		case <-due:
		}
	}
}

// settle writes one status and tells the schedule how that ended. It returns the number of
// failures in a row.
func (w *WriteBack) settle(ctx context.Context, e *entry, failures int) int {
	result, version, err := w.write(ctx, e)
	w.metrics.writes.WithLabelValues(result).Inc()
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	switch result {
	case resultWritten:
		w.schedule.written(e.news.id(), now)
		if w.schedule.pending[e.news.id()] == nil {
			w.known.written(e.news.id(), version)
		}
	case resultUnchanged, resultGone:
		if w.schedule.pending[e.news.id()] == nil {
			w.known.shown(e.news.id())
		}
	case resultRefused:
		if !e.refused {
			w.log.Error(err, "The usage of an object was refused; it is tried again every minute or so", "object", e.news.id())
		}
		e.refused = true
		w.schedule.again(e, now, now.Add(writeEvery+w.schedule.jitter()))
	case resultConflict:
		// The cache is behind; if it stays so, this may not take up the budget of the others.
		w.schedule.again(e, now, now.Add(backOff(e.conflicts)))
		e.conflicts++
	case resultFailed, resultThrottled:
		if failures == 0 && ctx.Err() == nil {
			w.log.Error(err, "Usage cannot be written; it is tried again until it can", "object", e.news.id())
		}
		resume := now.Add(retryAfter(err, failures))
		w.schedule.pause(resume)
		w.schedule.again(e, now, resume)
		return failures + 1
	}
	return 0
}

// The results of a write, as the metric has them.
const (
	resultWritten   = "written"
	resultUnchanged = "unchanged"
	resultGone      = "gone"      // the object was deleted
	resultConflict  = "conflict"  // the object is newer than the cache, perhaps another one
	resultRefused   = "refused"   // this object's, perhaps by a policy of its namespace
	resultThrottled = "throttled" // the API server has too much to do
	resultFailed    = "failed"
)

// write returns also the resource version that a write made.
func (w *WriteBack) write(ctx context.Context, e *entry) (result, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c, err := e.news.change(ctx, w.statuses)
	switch {
	case err != nil:
		return resultFailed, "", err
	case c.object == nil:
		return resultGone, "", nil
	case c.usage == nil:
		return resultUnchanged, "", nil
	}
	w.announce(e.news.id(), &c)
	began := w.clock.Now()
	version, err = w.statuses.write(ctx, c.object, c.usage)
	w.metrics.durations.Observe(w.clock.Since(began).Seconds())
	switch {
	case err == nil:
		return resultWritten, version, nil
	case apierrors.IsNotFound(err):
		return resultGone, "", nil
	case apierrors.IsConflict(err):
		return resultConflict, "", nil
	case apierrors.IsTooManyRequests(err):
		return resultThrottled, "", err
	case concernsAll(err):
		return resultFailed, "", err
	default:
		return resultRefused, "", err
	}
}

// concernsAll says whether a write of any other status would fail the same. An answer is about
// one object unless it says that the API server is slow or away, or does not know
// the operator: whoever may set up admission for one namespace must not stop the others.
func concernsAll(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return true // it was not reached
	}
	return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsUnauthorized(err)
}

// retryAfter is how long to leave the API server alone: as long as it asks for, and longer
// with each failure in a row.
func retryAfter(err error, failures int) time.Duration {
	wait := backOff(failures)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		wait = max(wait, min(time.Duration(seconds)*time.Second, longestAsked))
	}
	return wait
}

// backOff is how long to wait after a failure, by how many in a row there were before.
func backOff(failures int) time.Duration { return min(firstRetry<<min(failures, 6), slowestRetry) }
