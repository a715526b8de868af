// Package cpu binds processes to processors and tells what they used. A server that is measured has
// one processor to itself and the load comes from another, the same for every server; else
// the two would share as the scheduler happens to like.
package cpu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Pair is one processor for servers and another for load, if there are two.
func Pair() (server, load int, ok bool) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return 0, 0, false
	}
	var found []int
	for i := 0; len(found) < 2; i++ {
		if set.IsSet(i) {
			found = append(found, i)
		}
	}
	return found[0], found[1], true
}

// On runs start on one processor: what it starts as a process stays there, and sees only that one.
func On(processor int, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := set(0, processor); err != nil {
		return err
	}
	return errors.Join(start(), unix.SchedSetaffinity(0, &before))
}

// Stay binds all of this process to one processor until it is released.
func Stay(processor int) (release func() error, err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	running := runtime.GOMAXPROCS(1)
	if err := eachThread(func(thread int) error { return set(thread, processor) }); err != nil {
		return nil, err
	}
	return func() error {
		runtime.GOMAXPROCS(running)
		return eachThread(func(thread int) error { return unix.SchedSetaffinity(thread, &before) })
	}, nil
}

func set(thread, processor int) error {
	var one unix.CPUSet
	one.Set(processor)
	return unix.SchedSetaffinity(thread, &one)
}

// eachThread goes twice: a thread that another started meanwhile has its affinity from before.
func eachThread(do func(thread int) error) error {
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, task := range tasks {
			thread, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			if err := do(thread); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// Used is the processor time that a process has used, in all its threads.
func Used(process int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", process))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d tells nothing of its processor time", process)
	}
	sum := time.Duration(0)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s cannot be read: %w", file, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// Resident is what of a process is in memory now, and what at most was, in bytes.
func Resident(process int) (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		return 0, 0, err
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.HasSuffix(strings.TrimSpace(value), " kB") {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			values[name] = n << 10
		}
	}
	if values["VmRSS"] == 0 {
		return 0, 0, fmt.Errorf("process %d tells nothing of its memory", process)
	}
	return values["VmRSS"], values["VmHWM"], nil
}
