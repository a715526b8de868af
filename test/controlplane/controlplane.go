// Package controlplane starts a real Kubernetes control plane for tests and for make run:
// etcd, kube-apiserver and kube-controller-manager, with Claviger's CRDs installed. RBAC
// is on; garbage collection, deletion of namespaces and service accounts are real. There
// are no nodes.
//
// It is what controller-runtime's envtest does, and uses it to install the CRDs, but with
// three things that envtest lacks: a controller manager, data that outlives the process,
// and an API server that can go away and come back.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/claviger-dev/claviger/test/process"
)

const (
	// Generous, because several test binaries may share two cores.
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

// Options for Start. The zero value is right for tests.
type Options struct {
	// Dir keeps etcd's data, certificates and kubeconfigs. Where it is empty a temporary
	// directory is used, and deleted by Stop.
	Dir string
	// APIServerPort on 127.0.0.1; 0 takes a free one.
	APIServerPort int
	// APIServerArgs are further arguments for kube-apiserver.
	APIServerArgs []string
	// LogDir is where what the programs print goes, to files named <program>.log; by
	// default Dir.
	LogDir string
	// WithoutCRDs leaves Claviger's CRDs to the caller to install.
	WithoutCRDs bool
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Config is an administrator's, and unthrottled.
	Config *rest.Config

	opts      Options
	assets    string
	dir       string
	temporary bool
	pki       *pki
	etcdURL   string
	port      int

	etcd, apiServer, controllerManager *process.Process
}

// Start starts a control plane and returns once it is ready for use. The programs are
// those that KUBEBUILDER_ASSETS holds.
func Start(opts Options) (*ControlPlane, error) {
	return StartContext(context.Background(), opts)
}

// StartContext is Start, given up when ctx ends. What was started does not depend on ctx.
func StartContext(ctx context.Context, opts Options) (*ControlPlane, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{opts: opts, assets: assets, dir: opts.Dir, port: opts.APIServerPort}
	if c.dir == "" {
		c.temporary = true
		if c.dir, err = os.MkdirTemp("", "claviger-controlplane-"); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	if c.opts.LogDir == "" {
		c.opts.LogDir = c.dir
	}
	for _, dir := range []string{c.dir, c.opts.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	var err error
	if c.pki, err = loadPKI(filepath.Join(c.dir, "pki")); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	if err := c.waitForNamespace(ctx, "default"); err != nil {
		return err
	}
	// Before the controller manager: its garbage collector learns at its start which kinds
	// there are, and looks again only every 30 seconds.
	if !c.opts.WithoutCRDs {
		if err := c.InstallCRDs(); err != nil {
			return err
		}
	}
	if err := c.startControllerManager(); err != nil {
		return err
	}
	return c.waitForServiceAccount(ctx, "default", "default")
}

// InstallCRDs installs Claviger's CRDs, or updates them, and waits until they are served.
func (c *ControlPlane) InstallCRDs() error {
	_, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{
		Paths:              []string{filepath.Join(RepositoryRoot(), "config", "crd", "bases")},
		ErrorIfPathMissing: true,
		CRDs:               []*apiextensionsv1.CustomResourceDefinition{},
		MaxTime:            startTimeout,
	})
	if err != nil {
		return fmt.Errorf("the API server does not accept the CRDs in config/crd/bases: %w", err)
	}
	return nil
}

// Stop stops the control plane and, where no Options.Dir was given, deletes its data.
func (c *ControlPlane) Stop() error {
	var errs []error
	for _, p := range []*process.Process{c.controllerManager, c.apiServer} {
		if p != nil {
			errs = append(errs, p.Kill())
		}
	}
	if c.etcd != nil {
		errs = append(errs, c.etcd.Stop(stopTimeout))
	}
	if c.temporary {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// StopAPIServer takes the API server away at once; etcd keeps running, and the controller
// manager keeps trying. A killed API server loses nothing, as all it knows is in etcd,
// where one that is asked to end waits up to a minute for open watches.
func (c *ControlPlane) StopAPIServer() error { return c.apiServer.Kill() }

// StartAPIServer brings the API server back, at the same address and with the same data.
func (c *ControlPlane) StartAPIServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return c.startAPIServer(ctx)
}

// Exited is closed when one of the programs has ended; Failure then says which.
func (c *ControlPlane) Exited() <-chan struct{} {
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		select {
		case <-c.etcd.Done():
		case <-c.apiServer.Done():
		case <-c.controllerManager.Done():
		}
	}()
	return exited
}

// Failure says which of the programs have ended, and is nil while all run.
func (c *ControlPlane) Failure() error {
	return errors.Join(c.etcd.Err(), c.apiServer.Err(), c.controllerManager.Err())
}
