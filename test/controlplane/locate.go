package controlplane

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Programs are the names of what must be in KUBEBUILDER_ASSETS.
var Programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"}

// Assets is the directory that KUBEBUILDER_ASSETS names, checked to hold the Programs.
func Assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		return "", fmt.Errorf("this needs a Kubernetes control plane, and KUBEBUILDER_ASSETS is not set: run make test, which builds one, or set it to what hack/controlplane/build.sh prints")
	}
	// Tests run in the directory of their package.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, name := range Programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("KUBEBUILDER_ASSETS is %s, and it lacks %s: unset it to have make build all of them", dir, strings.Join(missing, ", "))
	}
	return dir, nil
}

// RepositoryRoot is the directory of the module that this package was compiled from.
func RepositoryRoot() string {
	_, file, _, _ := runtime.Caller(0)
	if !filepath.IsAbs(file) {
		// Compiled with -trimpath, so ask where we are.
		return rootAbove(".")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

func rootAbove(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "."
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "config", "crd", "bases")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// FreePort is a port of 127.0.0.1 that nobody listens on. It is none of those that the
// kernel hands out for outgoing connections, so nobody but another server can take it
// before it is used.
func FreePort() (int, error) {
	const first, count, attempts = 20000, 12000, 100
	var err error
	for range attempts {
		port := first + rand.IntN(count)
		var listener net.Listener
		if listener, err = net.Listen("tcp", address(port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: %w", err)
}
