package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// run starts everything, waits until ctx ends, and stops everything. Whatever it started and
// ends by itself calls fail.
func run(ctx context.Context, fail context.CancelCauseFunc, opts options) error {
	lock, err := takeLock(opts.dir)
	if err != nil {
		return err
	}
	defer lock.release()
	s := &session{options: opts, fail: fail}
	err = s.start(ctx, lock.leftByCrash)
	if err == nil {
		<-ctx.Done()
	}
	// Why it ends matters more than what failed as it ended.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, context.Canceled) {
		fmt.Println("\nStopping ...")
		err = nil
	}
	return errors.Join(s.explain(err), s.stop())
}

// session is what one run has started.
type session struct {
	options
	fail     context.CancelCauseFunc
	logDir   string
	ports    map[string]int
	plane    *controlplane.ControlPlane
	children []*process.Process
}

// start returns once everything is ready to be used.
func (s *session) start(ctx context.Context, afterCrash bool) error {
	if err := ensurePrograms(ctx, s.options); err != nil {
		return err
	}
	var err error
	if s.logDir, err = freshLogs(s.dir); err != nil {
		return err
	}
	if s.ports, err = choosePorts(ctx, s.options, afterCrash); err != nil {
		return err
	}

	fmt.Println("Starting the control plane ...")
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	fmt.Println("Installing config/default ...")
	admin, err := adminClient(s.plane)
	if err != nil {
		return err
	}
	manifests, err := render(ctx, s.plane, "config/default")
	if err != nil {
		return err
	}
	if err := install(ctx, admin, manifests, s.ports); err != nil {
		return err
	}
	fmt.Println("Starting operator and verifier ...")
	started := time.Now()
	if err := s.startChildren(manifests); err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	if err := waitForWebhook(ctx, admin); err != nil {
		return err
	}
	if err := waitForLeader(ctx, admin, started); err != nil {
		return err
	}
	if s.samples {
		fmt.Println("Applying config/samples ...")
		if err := applySamples(ctx, s.plane, admin); err != nil {
			return err
		}
	}
	if err := s.writeEnv(); err != nil {
		return err
	}
	s.printWhatToTry()
	fmt.Println("Claviger is ready")
	return nil
}

func (s *session) startControlPlane(ctx context.Context) error {
	plane, err := controlplane.StartContext(ctx, controlplane.Options{
		Dir: filepath.Join(s.dir, "controlplane"), LogDir: s.logDir, APIServerPort: s.ports[apiPort],
	})
	if err != nil {
		return err
	}
	s.plane = plane
	go func() {
		<-plane.Exited()
		s.fail(plane.Failure())
	}()
	return nil
}

// stop stops the children, then what they depend on.
func (s *session) stop() error {
	var errs []error
	for _, p := range s.children {
		errs = append(errs, p.Stop(stopTimeout))
	}
	if s.plane != nil {
		errs = append(errs, s.plane.Stop())
	}
	return errors.Join(errs...)
}

// ensurePrograms builds the control plane where there is none; claviger itself is make's to build.
func ensurePrograms(ctx context.Context, opts options) error {
	if _, err := os.Stat(opts.binary); err != nil {
		return fmt.Errorf("there is no %s: run make build", opts.binary)
	}
	build := exec.CommandContext(ctx, filepath.Join(controlplane.RepositoryRoot(), "hack", "controlplane", "build.sh"))
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.Stderr = os.Stderr
	out, err := build.Output()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return errors.New("there is no control plane to run on")
	}
	return os.Setenv("KUBEBUILDER_ASSETS", trimNewline(out))
}

func trimNewline(out []byte) string {
	if n := len(out); n > 0 && out[n-1] == '\n' {
		out = out[:n-1]
	}
	return string(out)
}

// freshLogs makes an empty directory for logs and keeps those of the run before.
func freshLogs(dir string) (string, error) {
	logs := filepath.Join(dir, "logs")
	previous := filepath.Join(dir, "logs.previous")
	if _, err := os.Stat(logs); err == nil {
		if err := os.RemoveAll(previous); err != nil {
			return "", err
		}
		if err := os.Rename(logs, previous); err != nil {
			return "", err
		}
	}
	return logs, os.MkdirAll(logs, 0o700)
}

func adminClient(plane *controlplane.ControlPlane) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(plane.Config, client.Options{Scheme: scheme})
}
