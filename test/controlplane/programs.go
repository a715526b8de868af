package controlplane

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"

	"github.com/claviger-dev/claviger/test/process"
)

// A port that looked free may be taken before a program listens on it.
const portAttempts = 3

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	args := []string{
		"--data-dir=" + filepath.Join(c.dir, "etcd"),
		"--listen-peer-urls=http://127.0.0.1:0",
		"--log-level=warn",
	}
	if c.temporary {
		args = append(args, "--unsafe-no-fsync")
	}
	var err error
	for range portAttempts {
		var port int
		if port, err = FreePort(); err != nil {
			return err
		}
		c.etcdURL = "http://" + address(port)
		c.etcd, err = c.startProgram("etcd", append(args,
			"--listen-client-urls="+c.etcdURL, "--advertise-client-urls="+c.etcdURL))
		if err != nil {
			return err
		}
		err = c.etcd.WaitReady(ctx, healthy(http.DefaultClient, c.etcdURL+"/readyz"))
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return c.explain("etcd", err)
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	wanted, attempts := c.port, portAttempts
	if wanted != 0 {
		attempts = 1
	}
	var err error
	for range attempts {
		if c.port = wanted; wanted == 0 {
			if c.port, err = FreePort(); err != nil {
				return err
			}
		}
		if c.apiServer, err = c.startProgram("kube-apiserver", c.apiServerArgs()); err != nil {
			return err
		}
		if err = c.waitForAPIServer(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	return c.explain("kube-apiserver", err)
}

func (c *ControlPlane) apiServerArgs() []string {
	return append([]string{
		"--etcd-servers=" + c.etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.port),
		// Without these two it looks for a network, and a laptop may have none.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki.serviceAccountKey,
		"--service-account-signing-key-file=" + c.pki.serviceAccountKey,
		"--tls-cert-file=" + c.pki.servingCert,
		"--tls-private-key-file=" + c.pki.servingKey,
		"--client-ca-file=" + c.pki.caCert,
		"--cert-dir=" + c.pki.dir,
		"--profiling=false",
	}, c.opts.APIServerArgs...)
}

func (c *ControlPlane) waitForAPIServer(ctx context.Context) error {
	config, err := c.pki.adminConfig("https://" + address(c.port))
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if err := c.apiServer.WaitReady(ctx, healthy(client, config.Host+"/readyz")); err != nil {
		return err
	}
	c.Config = config
	return WriteKubeconfig(c.Kubeconfig(), config)
}

// startControllerManager starts only the controllers that need no nodes and that tests or
// people would miss.
func (c *ControlPlane) startControllerManager() error {
	var err error
	c.controllerManager, err = c.startProgram("kube-controller-manager", []string{
		"--kubeconfig=" + c.Kubeconfig(),
		"--controllers=" + strings.Join([]string{
			"garbage-collector-controller", "namespace-controller",
			"serviceaccount-controller", "serviceaccount-token-controller",
			"root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
		}, ","),
		"--service-account-private-key-file=" + c.pki.serviceAccountKey,
		"--root-ca-file=" + c.pki.caCert,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		// As an administrator it must not be what makes a test slow.
		"--kube-api-qps=1000", "--kube-api-burst=1000",
	})
	return err
}

func (c *ControlPlane) startProgram(name string, args []string) (*process.Process, error) {
	log, err := os.OpenFile(c.logFile(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the program has its own
	return process.Start(process.Options{
		Name: name, Path: filepath.Join(c.assets, name), Args: args, Output: log,
		OnParentDeath: syscall.SIGKILL,
	})
}

func (c *ControlPlane) logFile(name string) string {
	return filepath.Join(c.opts.LogDir, name+".log")
}

// explain adds a program's last words to err, as its temporary log is about to go.
func (c *ControlPlane) explain(name string, err error) error {
	if err == nil {
		return nil
	}
	log, readErr := os.ReadFile(c.logFile(name))
	if readErr != nil {
		return err
	}
	const enough = 2000
	if len(log) > enough {
		log = log[len(log)-enough:]
	}
	return fmt.Errorf("%w; its log ends:\n%s", err, log)
}

func healthy(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close() //nolint:errcheck // only read from
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
