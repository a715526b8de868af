package extauthz

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func timed(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestWhatIsNoCheckRequestIsRefused(t *testing.T) {
	f := newFixture(t)
	long := marshal(t, request([]string{"x-api-key: " + f.key, "cookie: " + strings.Repeat("a", MaxMessage)}))
	for name, test := range map[string]struct {
		message []byte
		code    codes.Code
	}{
		"noise":              {[]byte("\xff\xff\xff"), codes.Internal},
		"a request cut off":  {marshal(t, request([]string{"x-api-key: " + f.key}))[:40], codes.Internal},
		"a key that is none": {[]byte("\x0a\x0f\x22\x0d\x12\x0b\x1a\x09\x0a\x01a\x12\x04\xff" + f.key[:3]), codes.Internal},
		"one too long":       {long, codes.ResourceExhausted},
	} {
		err := f.conn.Invoke(timed(t), authv3.Authorization_Check_FullMethodName, test.message, nil, grpc.ForceCodecV2(raw{}))
		if status.Code(err) != test.code || strings.Contains(err.Error(), f.key[:3]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is no question at all is one without a key.
	if got := f.refused(t, &authv3.CheckRequest{}); got.problem.Code != "KEY_REQUIRED" {
		t.Errorf("an empty message: %+v", got)
	}
	f.allowed(t, request([]string{"x-api-key: " + f.key}))
}

func TestTwoMessagesInOneCallAreRefused(t *testing.T) {
	f := newFixture(t)
	stream, err := f.conn.NewStream(timed(t), &grpc.StreamDesc{ClientStreams: true}, authv3.Authorization_Check_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.SendMsg(request([]string{"x-api-key: " + f.key})); err != nil {
			t.Fatal(err)
		}
	}
	stream.CloseSend()
	if err := stream.RecvMsg(&authv3.CheckResponse{}); err == nil {
		t.Error("they were answered")
	}
	f.allowed(t, request([]string{"x-api-key: " + f.key}))
}

func TestAnyNumberOfHeadersIsBorne(t *testing.T) {
	f := newFixture(t)
	headers := []string{"x-api-key: " + f.key}
	for i := range 2000 {
		headers = append(headers, fmt.Sprintf("x-claviger-%d: forged", i), fmt.Sprintf("a-%d: b", i))
	}
	for name := range f.allowed(t, request(headers)) {
		if strings.HasPrefix(name, "x-claviger-") && !slices.Contains(identityNames[:], name) {
			t.Fatalf("%s is left", name)
		}
	}
	var extensions []string
	for i := range 2000 {
		extensions = append(extensions, fmt.Sprintf("a-%d: b", i))
	}
	if got := f.refused(t, request(headers, extensions...)); got.problem.Code != "REQUEST_INVALID" {
		t.Errorf("got %+v", got)
	}
}

// Many keys at once: no answer may be made of the memory of another's.
func TestNobodyGetsTheAnswerOfAnother(t *testing.T) {
	f := newFixture(t)
	stranger := stranger(t)
	var running sync.WaitGroup
	for i := range 16 {
		running.Go(func() {
			for n := range 100 {
				id := fmt.Sprintf("%d-%d", i, n)
				r := request([]string{"x-api-key: " + stranger, "x-request-id: " + id})
				response, err := f.client.Check(timed(t), r)
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.Contains(response.GetDeniedResponse().GetBody(), `"requestId":"`+id+`"`) {
					t.Errorf("%s got %v", id, response)
					return
				}
				if response, err = f.client.Check(timed(t), request([]string{"authorization: Bearer " + f.key})); err != nil || response.GetOkResponse() == nil {
					t.Errorf("a good key got %v, %v", response, err)
					return
				}
			}
		})
	}
	running.Wait()
}

func TestAPanicIsAnAnswer(t *testing.T) {
	f := newFixture(t)
	var log bytes.Buffer
	server, err := New(f.verifier, Options{
		Ready: func() error { panic(f.key) },
		Log:   funcr.New(func(prefix, args string) { log.WriteString(prefix + args) }, funcr.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	response := call(t, server, marshal(t, request([]string{"x-api-key: " + f.key})))
	if got := refusalOf(t, response); got.status != 500 || got.code != codes.Internal || got.problem.Code != "INTERNAL" {
		t.Errorf("got %+v", got)
	}
	if n := testutil.ToFloat64(server.metrics.panics); n != 1 {
		t.Errorf("%v panics were counted", n)
	}
	if told := log.String() + response.String(); !strings.Contains(told, "panicked") || strings.Contains(told, f.key) {
		t.Errorf("it is told as %s", told)
	}
}

// call asks a server without a network.
func call(t testing.TB, server *Server, message []byte) *authv3.CheckResponse {
	t.Helper()
	answer, err := server.check(context.Background(), func(v any) error {
		return newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, v)
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := newCodec().Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	var response authv3.CheckResponse
	if err := proto.Unmarshal(data.Materialize(), &response); err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	return &response
}

func TestWhatIsTooMuchIsAnsweredAtOnce(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	f := unserved(t, func(o *Options) {
		o.MaxInFlight = 1
		o.Ready = func() error {
			if held.CompareAndSwap(false, true) { // by the first, which so keeps the only place
				close(entered)
				<-leave
			}
			return nil
		}
	})
	message := marshal(t, request([]string{"x-api-key: " + f.key}))
	var holder sync.WaitGroup
	holder.Go(func() {
		if response := call(t, f.Server, message); response.GetOkResponse() == nil {
			t.Errorf("the first got %v", response)
		}
	})
	<-entered
	if got := refusalOf(t, call(t, f.Server, message)); got.status != 503 || got.code != codes.Unavailable || got.problem.Code != "OVERLOADED" || got.headers["retry-after"] != "1" {
		t.Errorf("got %+v", got)
	}
	close(leave)
	holder.Wait()
	if response := call(t, f.Server, message); response.GetOkResponse() == nil {
		t.Errorf("with room again: %v", response)
	}
}

func TestHealth(t *testing.T) {
	var ready atomic.Bool
	f := newFixtureWith(t, func(o *Options) {
		o.Ready = func() error {
			if ready.Load() {
				return nil
			}
			return errors.New("waiting")
		}
	})
	client := grpc_health_v1.NewHealthClient(f.conn)
	watch, err := client.Watch(timed(t), &grpc_health_v1.HealthCheckRequest{Service: Service})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_NOT_SERVING, grpc_health_v1.HealthCheckResponse_SERVING} {
		ready.Store(want == grpc_health_v1.HealthCheckResponse_SERVING)
		for _, service := range []string{"", Service} {
			got, err := client.Check(timed(t), &grpc_health_v1.HealthCheckRequest{Service: service})
			if err != nil || got.GetStatus() != want {
				t.Errorf("%q is %v, %v, want %v", service, got, err, want)
			}
		}
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
			t.Errorf("who watches is told %v, %v, want %v", got, err, want)
		}
	}
	if _, err := client.Check(timed(t), &grpc_health_v1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("of another service it says %v", err)
	}
}

// Whoever watches does not hold up the end, and is told of it.
func TestTheEnd(t *testing.T) {
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ctx, listener, patience) }()
	watch, err := grpc_health_v1.NewHealthClient(f.dial(t, listener.Addr().String())).Watch(timed(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	end()
	if got, err := watch.Recv(); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("who watches is told %v, %v", got, err)
	}
	if got, err := watch.Recv(); err == nil {
		t.Errorf("and then %v", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestTLS(t *testing.T) {
	certificate := selfSigned(t)
	f := newFixtureWith(t, func(o *Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	})
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	conn, err := grpc.NewClient(f.conn.Target(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "verifier"})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response, err := authv3.NewAuthorizationClient(conn).Check(timed(t), request([]string{"x-api-key: " + f.key}))
	if err != nil || response.GetOkResponse() == nil {
		t.Errorf("over TLS: %v, %v", response, err)
	}
	if _, err := f.client.Check(timed(t), request(nil)); status.Code(err) != codes.Unavailable {
		t.Errorf("in plain text: %v", err)
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"verifier"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestWhatIsMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	f := newFixtureWith(t, func(o *Options) { o.Registerer = registry })
	f.allowed(t, request([]string{"x-api-key: " + f.key}))
	f.refused(t, request(nil))
	f.conn.Invoke(timed(t), authv3.Authorization_Check_FullMethodName, []byte("\xff"), nil, grpc.ForceCodecV2(raw{}))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]uint64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); h.GetSampleCount() > 0 {
				counted[m.GetLabel()[0].GetValue()] = h.GetSampleCount()
			}
		}
	}
	if len(counted) != 2 || counted["200"] != 1 || counted["401"] != 1 || testutil.ToFloat64(f.metrics.malformed) != 1 {
		t.Errorf("counted were %v", counted)
	}
	if _, err := New(f.verifier, Options{Registerer: registry}); err == nil {
		t.Error("metrics could be registered twice")
	}
}
