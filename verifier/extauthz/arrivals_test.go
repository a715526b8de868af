package extauthz

import (
	"context"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// idle opens calls that send nothing.
func (f *fixture) idle(t *testing.T, method string, calls int) (streams []grpc.ClientStream) {
	t.Helper()
	for range calls {
		stream, err := f.conn.NewStream(timed(t), &grpc.StreamDesc{ClientStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, stream)
	}
	return streams
}

func TestCallsWithoutAMessageKeepNobodyOut(t *testing.T) {
	f := newFixtureWith(t, func(o *Options) { o.MaxInFlight = 1 })
	others := f.dial(t, f.conn.Target())
	f.idle(t, authv3.Authorization_Check_FullMethodName, maxStreams)
	client := authv3.NewAuthorizationClient(others)
	for range 10 {
		response, err := client.Check(timed(t), request([]string{"x-api-key: " + f.key}))
		if err != nil || response.GetOkResponse() == nil {
			t.Fatalf("another client got %v, %v", response, err)
		}
	}
}

func TestACallWhoseMessageDoesNotComeEnds(t *testing.T) {
	f := newFixture(t)
	var streams []grpc.ClientStream
	for _, method := range []string{
		authv3.Authorization_Check_FullMethodName, grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName,
	} {
		streams = append(streams, f.idle(t, method, 1)...)
	}
	for i, stream := range streams {
		// The test's own patience would be DeadlineExceeded, and take longer.
		if err := stream.RecvMsg(&authv3.CheckResponse{}); status.Code(err) != codes.Canceled {
			t.Errorf("call %d: %v", i, err)
		}
	}
	f.allowed(t, request([]string{"x-api-key: " + f.key}))
}

func TestTheOldestOfTooManyCallsWithoutAMessageEnds(t *testing.T) {
	a := newArrivals(1)
	begin := func() context.Context {
		t.Helper()
		ctx, err := a.begin(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return ctx
	}
	oldest, prompt := begin(), begin()
	if !arrived(prompt) {
		t.Fatal("a message that came is late")
	}
	for range fewestArrivals {
		begin()
	}
	if oldest.Err() == nil || arrived(oldest) {
		t.Error("the oldest goes on")
	}
	if prompt.Err() != nil {
		t.Error("one whose message is there ended")
	}
}

func TestOnlySoManyWatch(t *testing.T) {
	f := newFixture(t)
	client := grpc_health_v1.NewHealthClient(f.conn)
	for i := range maxWatchers + 1 {
		watch, err := client.Watch(timed(t), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = watch.Recv()
		if want := map[bool]codes.Code{true: codes.OK, false: codes.ResourceExhausted}[i < maxWatchers]; status.Code(err) != want {
			t.Fatalf("watcher %d: %v, want %v", i+1, err, want)
		}
	}
	if got, err := client.Check(timed(t), &grpc_health_v1.HealthCheckRequest{}); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("a check got %v, %v", got, err)
	}
}

func TestARequestHasOneID(t *testing.T) {
	x := &exchange{}
	if first, again := x.requestID(), x.requestID(); first == "" || first != again {
		t.Errorf("it is %q and %q", first, again)
	}
	x.forget()
	if x.id != "" {
		t.Error("the next request has it, too")
	}
}
