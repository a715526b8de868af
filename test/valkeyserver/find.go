package valkeyserver

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// find is the program: in the directory CLAVIGER_REDIS, or on the PATH.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"valkey-server", "redis-server"} {
		if dir := os.Getenv("CLAVIGER_REDIS"); dir != "" {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "This test needs valkey-server or redis-server: run it with make test, which gets one, or set CLAVIGER_REDIS to the directory that holds it."
	if inCI() {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Where a member of a cluster listens for the others, above its port.
const busOffset = 10000

// freePort is a port that nobody listens on, and neither on the one for a cluster's members. It is none of those
// that a system gives to outgoing connections, of which one could take it while the server is away: the very one that tries
// to reach it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(12000)
		if free(port) && free(port+busOffset) {
			return port
		}
	}
	t.Fatal("no port is free, with another one 10000 above it")
	return 0
}

func free(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}
