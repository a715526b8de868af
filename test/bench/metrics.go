package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what a verifier tells of itself, by name and labels as they are written.
type metrics map[string]float64

// parseMetrics reads the text format of Prometheus.
func parseMetrics(text []byte) metrics {
	m := metrics{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if value, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			m[line[:at]] = value
		}
	}
	return m
}

// metricsOf are those of a registry, by the same way as a process tells them.
func metricsOf(registry *prometheus.Registry) metrics {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return parseMetrics(w.Body.Bytes())
}

// metrics are those of a process.
func (v *verifierProcess) metrics(ctx context.Context) (metrics, error) {
	text, err := v.protected(ctx, "/metrics")
	return parseMetrics(text), err
}

// answered and unanswered are the questions to the server of the shared limits. Where one was not answered a verifier
// has decided for itself, which is quicker, and admits what it should not.
func (m metrics) answered() float64 {
	return m[`claviger_shared_limits_requests_total{result="answered"}`]
}

func (m metrics) unanswered() float64 {
	return m[`claviger_shared_limits_requests_total{result="failed"}`] + m[`claviger_shared_limits_requests_total{result="unasked"}`]
}

// together says whether a verifier counts with others, and knows how many they are.
func (m metrics) together(verifiers int) bool {
	return m["claviger_shared_limits_up"] == 1 && m["claviger_shared_limits_verifiers"] == float64(verifiers)
}

// awaitTogether waits until all of some verifiers do: until then each decides for itself.
func awaitTogether(ctx context.Context, verifiers int, tell func(i int) (metrics, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for i := range verifiers {
		for {
			m, err := tell(i)
			if err != nil {
				return err
			}
			if m.together(verifiers) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("verifier %d of %d does not count with the others: %w", i+1, verifiers, context.Cause(ctx))
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}
