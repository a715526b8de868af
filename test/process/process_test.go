package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/process"
)

// Only how long a broken test takes: none of them measures time.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("ACT_AS_PARENT") != "" {
		actAsParent()
	}
	os.Exit(m.Run())
}

// actAsParent starts a child, says its process id, and waits to be killed.
func actAsParent() {
	child, err := process.Start(process.Options{Name: "child", Path: "/bin/sleep", Args: []string{"600"}, OnParentDeath: syscall.SIGKILL})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	select {}
}

func TestAChildEndsWithItsKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tell a child of its parent's death")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "ACT_AS_PARENT=yes")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent said %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	for deadline := time.Now().Add(patience); alive(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
	}
}

// alive is false for a zombie that nobody has waited for.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestStoppingKillsWhoDoesNotListen(t *testing.T) {
	p, said := start(t, `trap "" TERM; echo deaf; while :; do sleep 1; done`)
	if line, err := said.ReadString('\n'); err != nil || line != "deaf\n" {
		t.Fatalf("said %q, error %v", line, err)
	}
	err := p.Stop(100 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("stopping said %v", err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("it still runs")
	}
}

func TestStoppingWhatHasEndedIsNoError(t *testing.T) {
	p, _ := start(t, "exit 3")
	<-p.Done()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "shell ended: exit status 3") {
		t.Errorf("it ended with %v", err)
	}
	if err := p.Stop(patience); err != nil {
		t.Error(err)
	}
}

func TestWaitingEndsWithTheProgram(t *testing.T) {
	p, _ := start(t, "exit 4")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := p.WaitReady(ctx, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("waiting said %v", err)
	}
}

// start runs a shell script and returns what it says.
func start(t *testing.T, script string) (*process.Process, *bufio.Reader) {
	t.Helper()
	out, in := io.Pipe()
	t.Cleanup(func() { out.Close() })
	p, err := process.Start(process.Options{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Output: in})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p, bufio.NewReader(out)
}
