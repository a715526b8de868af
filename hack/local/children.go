package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

const (
	readyTimeout = 2 * time.Minute
	// As long as a pod is given (terminationGracePeriodSeconds of the verifier).
	stopTimeout = 45 * time.Second
)

// exitError is that a child ended by itself.
type exitError struct{ error }

// startChildren starts operator and verifier with the identities of their service accounts.
func (s *session) startChildren(manifests []*unstructured.Unstructured) error {
	values := overrides(s.options, s.ports)
	if err := s.writeVerifierToken(manifests); err != nil {
		return err
	}
	for _, name := range []string{operator, verifier} {
		w, err := findWorkload(manifests, name)
		if err != nil {
			return err
		}
		config, err := s.plane.ServiceAccountConfig(w.namespace, w.serviceAccount)
		if err != nil {
			return err
		}
		if err := controlplane.WriteKubeconfig(kubeconfigPath(s.options, name), config); err != nil {
			return err
		}
		if err := s.startChild(name, override(w.args, values[name])); err != nil {
			return err
		}
	}
	return nil
}

// writeVerifierToken stands in for the kubelet, which would mount the operator's token for the
// verifier.
func (s *session) writeVerifierToken(manifests []*unstructured.Unstructured) error {
	w, err := findWorkload(manifests, operator)
	if err != nil {
		return err
	}
	config, err := s.plane.ServiceAccountConfig(w.namespace, w.serviceAccount, usagefeed.Audience)
	if err != nil {
		return err
	}
	return os.WriteFile(verifierTokenPath(s.options), []byte(config.BearerToken), 0o600)
}

func (s *session) startChild(name string, args []string) error {
	log, err := os.OpenFile(s.logFile(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own
	p, err := process.Start(process.Options{
		Name: name, Path: s.binary, Args: args, Output: log,
		// As in a cluster, they are asked to end and may finish what they do.
		OnParentDeath: syscall.SIGTERM,
	})
	if err != nil {
		return err
	}
	s.children = append(s.children, p)
	go func() {
		<-p.Done()
		s.fail(&exitError{p.Err()})
	}()
	return nil
}

func (s *session) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("waited %s", readyTimeout))
	defer cancel()
	for name, url := range map[string]string{
		operator: "http://" + loopback(s.ports[healthPort]) + "/readyz",
		verifier: "http://" + loopback(s.ports[verifierPort]) + "/readyz",
	} {
		if err := poll(ctx, func() error { return get(ctx, url) }); err != nil {
			return fmt.Errorf("%s is not ready: %w; see %s", name, err, s.logFile(name))
		}
	}
	return nil
}

// explain adds the last words of children that ended by themselves.
func (s *session) explain(err error) error {
	var exit *exitError
	if !errors.As(err, &exit) {
		return err
	}
	var words bytes.Buffer
	for _, p := range s.children {
		if p.Err() != nil {
			fmt.Fprintf(&words, "\n\nThe end of %s:\n%s", s.logFile(p.Name), lastLines(s.logFile(p.Name), 20))
		}
	}
	return fmt.Errorf("%w%s", err, words.String())
}

func (s *session) logFile(name string) string { return filepath.Join(s.logDir, name+".log") }

func lastLines(file string, count int) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-count):], []byte("\n"))
}

// poll repeats a check until it succeeds or ctx ends.
func poll(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
