//go:build !linux

// Package cpu binds processes to processors where the system can.
package cpu

import (
	"errors"
	"time"
)

var errLinux = errors.New("this is measured on Linux only")

// Pair is not to be had.
func Pair() (server, load int, ok bool) { return 0, 0, false }

// On runs start.
func On(_ int, start func() error) error { return start() }

// Stay does nothing.
func Stay(int) (release func() error, err error) { return func() error { return nil }, nil }

// Used is not told.
func Used(int) (time.Duration, error) { return 0, errLinux }

// Resident is not told.
func Resident(int) (now, peak int64, err error) { return 0, 0, errLinux }
