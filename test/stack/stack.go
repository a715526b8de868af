// Package stack runs the whole of Claviger for a test: the very program of `make run`,
// with a directory of its own, so that what is tested is what people start. Nothing in it is
// faked: a real API server, the operator and the verifier as processes with the RBAC
// identities they have in a cluster.
package stack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// ready is the line that `make run` promises.
const ready = "Claviger is ready"

// A cold start has to wait for certificates and leader election on a busy machine.
const startTimeout = 5 * time.Minute

// Stack is a running Claviger.
type Stack struct {
	// Dir holds its state and logs. A stack started again over the same Dir goes on.
	Dir string
	// VerifierURL is where the verifier's doors are, such as http://127.0.0.1:8080.
	VerifierURL string
	kubeconfig  string
	kubectl     string
	// The protected port, and whom to trust that it is this one.
	verifierAdminURL, verifierCA string
	launcher                     []string
	command                      *exec.Cmd
	exited                       chan error
	output                       *tail
}

// Run is for TestMain: it starts a stack, hands it over, runs the tests and stops it.
func Run(m *testing.M, hand func(*Stack)) int {
	dir, err := os.MkdirTemp("", "claviger-stack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	s, err := Start(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	hand(s)
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping Claviger:", err)
		return max(code, 1)
	}
	return code
}

// Start starts Claviger over a directory and returns when it is ready. It may be given further arguments of
// make run.
func Start(dir string, arguments ...string) (*Stack, error) {
	root := controlplane.RepositoryRoot()
	launcher := filepath.Join(dir, "launcher")
	if out, err := goBuild(root, launcher, "./hack/local"); err != nil {
		return nil, fmt.Errorf("building hack/local: %w\n%s", err, out)
	}
	binary := os.Getenv("CLAVIGER_BINARY")
	if binary == "" {
		binary = filepath.Join(dir, "claviger")
		if out, err := goBuild(root, binary, "./cmd/claviger"); err != nil {
			return nil, fmt.Errorf("building claviger: %w\n%s", err, out)
		}
	}
	s := &Stack{Dir: filepath.Join(dir, "state"), output: &tail{}}
	// All that can be logged is logged: whatever a test searches the logs for is not there.
	s.launcher = []string{launcher, "--dir", s.Dir, "--binary", binary, "--samples=false", "--log-level=127"}
	s.launcher = append(s.launcher, arguments...)
	return s, s.start()
}

// Restart stops Claviger and starts it again over the same directory.
func (s *Stack) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start()
}

func goBuild(root, output, target string) ([]byte, error) {
	command := exec.Command("go", "build", "-o", output, target)
	command.Dir = root
	return command.CombinedOutput()
}

func (s *Stack) start() error {
	s.command = exec.Command(s.launcher[0], s.launcher[1:]...)
	s.command.Dir = controlplane.RepositoryRoot()
	// The launcher ends its children itself; a group of its own keeps a Ctrl-C at the
	// terminal from ending them first.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.exited = make(chan error, 1)
	pipe, err := s.command.StdoutPipe()
	if err != nil {
		return err
	}
	s.command.Stderr = s.output
	if err := s.command.Start(); err != nil {
		return err
	}
	isReady := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(io.TeeReader(pipe, s.output))
		for lines.Scan() {
			if lines.Text() == ready {
				close(isReady)
				break
			}
		}
		io.Copy(s.output, pipe) //nolint:errcheck // ends with the process
		s.exited <- s.command.Wait()
	}()
	select {
	case <-isReady:
		return s.readEnv()
	case err := <-s.exited:
		return fmt.Errorf("`make run` ended before it was ready: %w\n%s", err, s.output)
	case <-time.After(startTimeout):
		return errors.Join(fmt.Errorf("`make run` was not ready after %v\n%s", startTimeout, s.output), s.Stop())
	}
}

// readEnv reads the file that `make run` writes for shells.
func (s *Stack) readEnv() error {
	text, err := os.ReadFile(filepath.Join(s.Dir, "env"))
	if err != nil {
		return err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok {
			values[name] = strings.Trim(value, `"'`)
		}
	}
	s.kubeconfig, s.kubectl, s.VerifierURL = values["KUBECONFIG"], values["KUBECTL"], values["VERIFIER_URL"]
	s.verifierAdminURL, s.verifierCA = values["VERIFIER_ADMIN_URL"], values["VERIFIER_CA"]
	if s.kubeconfig == "" || s.kubectl == "" || s.VerifierURL == "" {
		return fmt.Errorf("%s/env does not name KUBECONFIG, KUBECTL and VERIFIER_URL:\n%s", s.Dir, text)
	}
	return nil
}

// Stop asks Claviger to end, as Ctrl-C would, and waits until it has.
func (s *Stack) Stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.exited:
		return err
	case <-time.After(time.Minute):
		s.command.Process.Kill() //nolint:errcheck // it is being given up
		return fmt.Errorf("`make run` did not stop within a minute\n%s", s.output)
	}
}

// Logs is all that the processes have logged.
func (s *Stack) Logs() (string, error) {
	files, err := filepath.Glob(filepath.Join(s.Dir, "logs", "*"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	all.WriteString(s.output.String())
	return all.String(), nil
}
