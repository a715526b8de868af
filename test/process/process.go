// Package process runs programs that must not outlive the one that started them: the
// parts of a local control plane, and Claviger itself in make run.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is one started program.
type Process struct {
	Name string

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read it only after done is closed
}

// Options say how to start a program.
type Options struct {
	// Name is what to call the program in errors.
	Name string
	// Path of the program, its arguments, and what to add to the environment.
	Path string
	Args []string
	Env  []string
	// Output gets what the program prints; nil discards it.
	Output io.Writer
	// OnParentDeath is sent to the program when its parent dies without stopping it, on
	// Linux. SIGKILL where nothing is lost by it, SIGTERM where there is work to finish.
	OnParentDeath syscall.Signal
	// As is whom the program runs as; nil: the one who starts it.
	As *syscall.Credential
}

// Start starts a program, in a process group of its own so that Ctrl-C in a terminal
// reaches the parent alone, which then stops its children in order.
func Start(opts Options) (*Process, error) {
	cmd := exec.Command(opts.Path, opts.Args...)
	cmd.Env = append(os.Environ(), opts.Env...)
	cmd.Stdout, cmd.Stderr = opts.Output, opts.Output
	cmd.SysProcAttr = attributes(opts.OnParentDeath)
	cmd.SysProcAttr.Credential = opts.As
	// What a grandchild holds open must not keep Wait from returning.
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", opts.Name, err)
	}
	p := &Process{Name: opts.Name, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the program ended; nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	if p.err == nil {
		return fmt.Errorf("%s ended", p.Name)
	}
	return fmt.Errorf("%s ended: %w", p.Name, p.err)
}

// WaitReady asks until ready says yes. It gives up when ctx ends or the program does.
func (p *Process) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	const pause = 50 * time.Millisecond
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready: %w", p.Name, err)
		case <-time.After(pause):
		}
	}
}

// Stop asks the program to end (SIGTERM), waits so long for it, then kills it. Stopping
// one that has ended is no error.
func (p *Process) Stop(wait time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s cannot be stopped: %w", p.Name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(wait):
	}
	err := p.Kill()
	return errors.Join(fmt.Errorf("%s did not end within %s and was killed", p.Name, wait), err)
}

// Kill ends the program at once (SIGKILL), as a crash would.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return fmt.Errorf("%s cannot be killed: %w", p.Name, err)
	}
	<-p.done
	return nil
}

func (p *Process) signal(signal syscall.Signal) error {
	err := p.cmd.Process.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
