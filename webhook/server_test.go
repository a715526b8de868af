package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

const patience = 30 * time.Second

func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %v", patience, err)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it was only for its port
	return listener.Addr().(*net.TCPAddr).Port
}

func TestServerWaitsForItsCertificate(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	server := NewServer("127.0.0.1", port, dir)
	certsReady := make(chan struct{})
	check := ReadyCheck(server, certsReady)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()

	data := both.mustRenew(t, nil, time.Now())
	if err := writeFile(dir+"/"+keyFile, data[keyFile]); err != nil {
		t.Fatal(err)
	}
	if err := check(nil); err == nil {
		t.Error("ready without a certificate")
	}
	close(certsReady)
	if err := check(nil); err == nil {
		t.Error("ready though it does not serve")
	}
	if _, err := writeFiles(dir, data); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return check(nil) })

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	eventually(t, func() error {
		if connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return errors.Join(errors.New("it still serves"), connection.Close())
		}
		return nil
	})
}

func TestServerEndsWhileItWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewServer("127.0.0.1", freePort(t), t.TempDir()).Start(ctx); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
