package extauthz

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

// usual is what Envoy asks about a request of a common client, with twelve headers.
func usual(key string) *authv3.CheckRequest {
	return request([]string{
		":authority: shop.example", ":method: GET", ":path: /orders/4711", ":scheme: https",
		"accept: application/json", "accept-encoding: gzip, deflate, br", "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
		"x-api-key: " + key, "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: https",
		"x-request-id: 5c3f8f0e-8f52-4d0c-9c58-5f6f5a6f1d55", "content-type: application/json",
	}, "scope: read")
}

func benchmarked(b *testing.B) *fixture {
	f := newFixture(b, limited("wide"))
	indextest.SetLimit(f.index, "wide", 100_000_000, time.Second, 0)
	return f
}

// BenchmarkCheck is all that is done about a request, without grpc.
func BenchmarkCheck(b *testing.B) {
	f := benchmarked(b)
	message := marshal(b, usual(f.key))
	codec := newCodec()
	receive := func(v any) error { return codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, v) }
	b.ReportAllocs()
	for b.Loop() {
		answer, err := f.Server.check(context.Background(), receive)
		if err != nil {
			b.Fatal(err)
		}
		data, err := codec.Marshal(answer)
		if err != nil {
			b.Fatal(err)
		}
		data.Free()
	}
}

// bare is a server of the generated code that lets everything pass.
type bare struct {
	authv3.UnimplementedAuthorizationServer
}

func (bare) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{}, nil
}

// BenchmarkServer is whole servers, asked by many at once over one connection. What it costs to ask
// is in it, and the same for both.
func BenchmarkServer(b *testing.B) {
	f := benchmarked(b)
	message := marshal(b, usual(f.key))
	b.Run("claviger", func(b *testing.B) { ask(b, f.conn, message) })
	b.Run("bare", func(b *testing.B) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := grpc.NewServer()
		authv3.RegisterAuthorizationServer(server, bare{})
		go server.Serve(listener)
		b.Cleanup(server.Stop)
		ask(b, f.dial(b, listener.Addr().String()), message)
	})
}

// raw leaves messages as they are, so that asking costs little.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

func ask(b *testing.B, conn *grpc.ClientConn, message []byte) {
	var failed atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := conn.Invoke(context.Background(), authv3.Authorization_Check_FullMethodName, message, nil, grpc.ForceCodecV2(raw{})); err != nil {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d calls failed", n)
	}
}
