package serve

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/verifier/analytics"
	"github.com/claviger-dev/claviger/verifier/internal/kubeauth"
)

// buildAnalytics puts the questions about usage beside the doors, where usage is counted.
func (p *process) buildAnalytics(o Options, registry prometheus.Registerer) error {
	if p.usage == nil {
		return nil
	}
	options := analytics.Options{
		Verifier: p.verifier, Ready: p.ready, Usage: p.usage, TrustedProxies: o.TrustedProxies, Now: time.Now,
		Log: o.Log.WithName("analytics"), Registerer: registry,
	}
	if o.Manifests == "" {
		kubernetes, err := kubeauth.New(o.Config)
		if err != nil {
			return err
		}
		options.Kubernetes = kubernetes
	}
	answers, err := analytics.New(options)
	if err != nil {
		return err
	}
	doors := p.doors
	p.doors = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, analytics.KeysPath) || strings.HasPrefix(r.URL.Path, analytics.WorkspacePath) {
			answers.ServeHTTP(w, r)
			return
		}
		doors.ServeHTTP(w, r)
	})
	return nil
}
