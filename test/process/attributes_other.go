//go:build !linux

package process

import "syscall"

// Only Linux can tell a child of its parent's death.
func attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
