package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// admissions are the requests that were admitted, by the answers of /v1/verify.
type admissions struct {
	span time.Duration

	mutex  sync.Mutex
	resets []time.Time // when the span ends in which each was counted
}

// see takes note of an answer. It may be called from any goroutine.
func (a *admissions) see(body []byte) error {
	if !bytes.HasPrefix(body, []byte(`{"valid":true,`)) {
		if bytes.HasPrefix(body, []byte(`{"valid":false,"code":"RATE_LIMITED",`)) {
			return nil
		}
		return fmt.Errorf("neither was it admitted, nor refused by its limit: %.200s", body)
	}
	var decision struct {
		Limits []struct{ ResetAt time.Time }
	}
	if err := json.Unmarshal(body, &decision); err != nil {
		return err
	}
	if len(decision.Limits) != 1 {
		return fmt.Errorf("it was held to %d limits, not one: %.200s", len(decision.Limits), body)
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.resets = append(a.resets, decision.Limits[0].ResetAt)
	return nil
}

// bySpan is how many were admitted in each span, the first first.
func (a *admissions) bySpan() []int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return countSpans(a.resets, a.span)
}

// countSpans counts by when spans end. Two ends are at least a span apart; those of one span differ by the milliseconds
// that an answer took, as each verifier tells the end by its own clock.
func countSpans(resets []time.Time, span time.Duration) (counts []int) {
	slices.SortFunc(resets, time.Time.Compare)
	var end time.Time
	for _, reset := range resets {
		if len(counts) == 0 || reset.Sub(end) > span/2 {
			counts, end = append(counts, 0), reset
		}
		counts[len(counts)-1]++
	}
	return counts
}

// beyond is by how much the fullest span exceeds what it may hold, in percent.
func beyond(counts []int, most int) float64 {
	if len(counts) == 0 {
		return 0
	}
	return 100 * float64(max(0, slices.Max(counts)-most)) / float64(most)
}
