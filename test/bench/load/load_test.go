package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestAnswersAreReadWhole(t *testing.T) {
	const (
		ok   = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
		none = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: now\r\n\r\n"
		only = "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"
	)
	for text, want := range map[string]answer{
		ok:   {200, []byte("hello"), len(ok)},
		none: {200, nil, len(none)},
		only: {204, nil, len(only)},
	} {
		for cut := range text {
			if _, err := parseAnswer([]byte(text[:cut])); !errors.Is(err, errIncomplete) {
				t.Errorf("%q was taken for whole: %v", text[:cut], err)
			}
		}
		for _, more := range []string{"", ok} {
			got, err := parseAnswer([]byte(text + more))
			if err != nil || got.status != want.status || string(got.body) != string(want.body) || got.length != want.length {
				t.Errorf("%q was read as %+v, %v", text+more, got, err)
			}
		}
	}
	for _, text := range []string{
		"\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 two OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
	} {
		if a, err := parseAnswer([]byte(text)); err == nil || errors.Is(err, errIncomplete) {
			t.Errorf("%q was read as %+v, %v", text, a, err)
		}
	}
}

func TestASlotIsFoundOnce(t *testing.T) {
	q := Template{Bytes: []byte("key=aaaa&other=bbbb&again=bbbb")}
	if err := q.Slot([]byte("aaaa"), 2); err != nil {
		t.Fatal(err)
	}
	for _, example := range []string{"cccc", "bbbb", ""} {
		if q.Slot([]byte(example), 0) == nil {
			t.Errorf("%q was taken for unique", example)
		}
	}
	question := []byte(string(q.Bytes))
	q.fill(question, []byte("0123456789"))
	if string(question) != "key=2345&other=bbbb&again=bbbb" || string(q.Bytes) == string(question) {
		t.Errorf("got %s of %s", question, q.Bytes)
	}
}

var names = Records{Data: []byte("anneboris"), Length: 4}

func greeting(t *testing.T, handle http.HandlerFunc) *HTTP {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	question := Template{Bytes: []byte("GET /?name=anne HTTP/1.1\r\nHost: x\r\n\r\n")}
	if err := question.Slot([]byte("anne"), 0); err != nil {
		t.Fatal(err)
	}
	return &HTTP{Address: server.Listener.Addr().String(), Question: question, Status: 200, Body: []byte("hello ")}
}

func TestHTTPAsksForEachRecord(t *testing.T) {
	var mutex sync.Mutex
	asked := map[string]int{}
	h := greeting(t, func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		asked[r.FormValue("name")]++
		fmt.Fprint(w, "hello ", r.FormValue("name"))
	})
	l, err := Open(3, h.Connect, names, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	took, err := l.Pace(1000, 50*time.Millisecond)
	if err != nil || len(took) != 50 {
		t.Fatalf("%d answers, %v", len(took), err)
	}
	if len(asked) != 2 || asked["anne"] != 25 || asked["bori"] != 25 {
		t.Errorf("asked: %v", asked)
	}
	if count, took, err := l.Saturate(20 * time.Millisecond); err != nil || count == 0 || took < 20*time.Millisecond {
		t.Errorf("%d in %s, %v", count, took, err)
	}
	unwanted := errors.New("unwanted")
	h.Check = func(body []byte) error {
		if string(body) == "hello bori" {
			return unwanted
		}
		return nil
	}
	if err := l.Peers[0].Ask(names.At(0)); err != nil {
		t.Error(err)
	}
	if err := l.Peers[0].Ask(names.At(1)); !errors.Is(err, unwanted) {
		t.Errorf("an answer that is checked and unwanted: %v", err)
	}
	whole, err := h.Record(names.At(1))
	if err != nil || !strings.HasPrefix(string(whole), "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(string(whole), "\r\n\r\nhello bori") {
		t.Errorf("recorded %q, %v", whole, err)
	}
}

func TestAnotherAnswerEndsTheLoad(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"another status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"another body":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "go away") },
		"no answer":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(2, greeting(t, handle).Connect, names, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if _, _, err := l.Saturate(time.Minute); err == nil {
				t.Error("no error")
			}
			if _, err := l.Pace(100, time.Minute); err == nil {
				t.Error("no error")
			}
		})
	}
}

type health struct {
	grpc_health_v1.UnimplementedHealthServer
	mutex sync.Mutex
	asked map[string]int
}

func (h *health) Check(_ context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.asked[r.GetService()]++
	if r.GetService() == "none" {
		return nil, status.Error(codes.NotFound, "there is none")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func TestGRPCCallsForEachRecord(t *testing.T) {
	service := &health{asked: map[string]int{}}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	defer server.Stop()

	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	g := &GRPC{
		Address: listener.Addr().String(), Method: grpc_health_v1.Health_Check_FullMethodName,
		Message: Template{Bytes: encode(&grpc_health_v1.HealthCheckRequest{Service: "anne"})},
		Reply:   encode(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}),
	}
	if err := g.Message.Slot([]byte("anne"), 0); err != nil {
		t.Fatal(err)
	}
	connect := func() (Peer, error) { return g.Connect(names.At(0)) }
	l, err := Open(2, connect, names, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := service.asked["anne"]
	// More than the windows of flow control hold at first.
	if _, err := l.Pace(20_000, 250*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if service.asked["anne"] != before+2500 || service.asked["bori"] != 2500 || len(service.asked) != 2 {
		t.Errorf("asked: %v", service.asked)
	}
	if reply, err := g.Record(names.At(1)); err != nil || string(reply) != string(g.Reply) {
		t.Errorf("recorded %q, %v", reply, err)
	}

	refused := *g
	refused.Message = Template{Bytes: encode(&grpc_health_v1.HealthCheckRequest{Service: "none"})}
	if _, err := refused.Connect(names.At(0)); err == nil {
		t.Error("a call that failed was taken for one that did not")
	}
}
