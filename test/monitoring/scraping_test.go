package monitoring

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// monitor is what matters of a ServiceMonitor.
type monitor struct {
	Spec struct {
		Selector  struct{ MatchLabels map[string]string }
		Endpoints []struct {
			Port, Scheme string
			HonorLabels  bool
			TLSConfig    struct {
				ServerName         string
				InsecureSkipVerify bool
				CA                 struct{ Secret struct{ Name, Key string } }
			}
		}
	}
}

// service is what matters of a Service.
type service struct {
	Metadata struct{ Labels map[string]string }
	Spec     struct{ Ports []struct{ Name string } }
}

// rendered are the objects of one kind in what kustomize makes of a directory, by name. Fields are matched without regard to case.
func rendered[T any](t *testing.T, dir, kind string) map[string]T {
	t.Helper()
	assets, err := controlplane.Assets()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(assets, "kubectl"), "kustomize", dir)
	command.Dir = root
	text, err := command.Output()
	if err != nil {
		t.Fatalf("%s cannot be rendered: %v", dir, err)
	}
	objects := map[string]T{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var of struct {
			Kind     string
			Metadata struct{ Name string }
		}
		var object T
		if err := yaml.Unmarshal([]byte(document), &of); err != nil {
			t.Fatal(err)
		}
		if of.Kind != kind {
			continue
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		objects[of.Metadata.Name] = object
	}
	return objects
}

func TestEachServiceMonitorFindsOneServiceAndKeepsTheLabelsOfItsMetrics(t *testing.T) {
	services := rendered[service](t, "config/default", "Service")
	monitors := rendered[monitor](t, "config/monitoring", "ServiceMonitor")
	for name, job := range map[string]string{"claviger-verifier": "claviger-verifier-admin", "claviger-operator": "claviger-operator-metrics"} {
		m, ok := monitors[name]
		if !ok || len(m.Spec.Endpoints) != 1 {
			t.Errorf("there is no ServiceMonitor %s with one endpoint: %+v", name, m)
			continue
		}
		endpoint := m.Spec.Endpoints[0]
		// Prometheus names the job after the Service, and alerts are about jobs.
		if found := serving(services, m.Spec.Selector.MatchLabels, endpoint.Port); !slices.Equal(found, []string{job}) {
			t.Errorf("%s finds the Services %v, and alerts want %s", name, found, job)
		}
		if endpoint.Scheme != "https" || !endpoint.HonorLabels {
			t.Errorf("%s scrapes by %q, honorLabels: %v", name, endpoint.Scheme, endpoint.HonorLabels)
		}
		tls := endpoint.TLSConfig
		if trusted := tls.ServerName == job+".claviger-system.svc" && tls.CA.Secret.Name == "claviger-certs" && tls.CA.Secret.Key == "ca.crt"; trusted == tls.InsecureSkipVerify {
			t.Errorf("%s trusts %+v", name, tls)
		}
	}
}

// serving are the names of those that have the labels and the port.
func serving(services map[string]service, labels map[string]string, port string) (names []string) {
	for name, s := range services {
		for key, value := range labels {
			if s.Metadata.Labels[key] != value {
				name = ""
			}
		}
		if name != "" && slices.ContainsFunc(s.Spec.Ports, func(p struct{ Name string }) bool { return p.Name == port }) {
			names = append(names, name)
		}
	}
	return names
}
