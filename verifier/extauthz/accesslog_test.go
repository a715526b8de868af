package extauthz

import (
	"context"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

// entry is what Envoy logs of a request, with what the door told it of that.
func entry(told *structpb.Struct, answer uint32, edits ...func(*datav3.HTTPAccessLogEntry)) *datav3.HTTPAccessLogEntry {
	e := &datav3.HTTPAccessLogEntry{
		CommonProperties: &datav3.AccessLogCommon{
			Metadata:                   &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{Filter: told}},
			TimeToLastDownstreamTxByte: durationpb.New(30 * time.Millisecond),
		},
		Request:  &datav3.HTTPRequestProperties{Authority: "Shop.Example:8443", RequestId: "another"},
		Response: &datav3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(answer), ResponseBodyBytes: 90, ResponseHeadersBytes: 10},
	}
	for _, edit := range edits {
		edit(e)
	}
	return e
}

func (f *fixture) log(t *testing.T, entries ...*datav3.HTTPAccessLogEntry) {
	t.Helper()
	stream, err := logv3.NewAccessLogServiceClient(f.conn).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries { // Envoy sends some at a time
		message := &logv3.StreamAccessLogsMessage{LogEntries: &logv3.StreamAccessLogsMessage_HttpLogs{
			HttpLogs: &logv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*datav3.HTTPAccessLogEntry{e}},
		}}
		if err := stream.Send(message); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
}

func TestEnvoysLogTellsHowRequestsEnded(t *testing.T) {
	f := newFixture(t)
	allowed := func(id string) *structpb.Struct {
		r := request([]string{"x-api-key: " + f.key}, "tier: gold", "resource: r")
		r.Attributes.Request.Http.Id = id
		answer := f.check(t, r)
		if answer.GetOkResponse() == nil {
			t.Fatalf("it was refused: %v", answer)
		}
		return answer.GetDynamicMetadata()
	}
	denied := f.check(t, request([]string{"x-api-key: " + f.key}, "scope: admin")).GetDynamicMetadata()
	first := allowed("1")
	f.log(t,
		entry(first, 200), entry(first, 200), // which Envoy may send again
		entry(allowed("2"), 404), entry(allowed("3"), 0),
		entry(allowed("4"), 504, func(e *datav3.HTTPAccessLogEntry) {
			e.CommonProperties.ResponseFlags = &datav3.ResponseFlags{UpstreamRequestTimeout: true}
		}),
		entry(denied, 403, func(e *datav3.HTTPAccessLogEntry) { e.Response.ResponseCodeDetails = "ext_authz_denied" }),
		entry(nil, 200), &datav3.HTTPAccessLogEntry{}, nil,
		entry(&structpb.Struct{Fields: map[string]*structpb.Value{"claviger": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
			"code": structpb.NewStringValue("VALID"), "keyId": structpb.NewStringValue("nonsense"), "requestId": structpb.NewStringValue("5"),
		}})}}, 200),
	)
	want := []struct {
		request string
		status  usage.Status
		error   string
		http    int
	}{{"1", usage.Succeeded, "", 200}, {"2", usage.Failed, "HTTP_404", 404}, {"3", usage.Failed, "NO_RESPONSE", 0}, {"4", usage.Failed, "UPSTREAM_TIMEOUT", 504}}
	f.told.mu.Lock()
	defer f.told.mu.Unlock()
	if len(f.told.outcomes) != len(want) {
		t.Fatalf("%d outcomes are told, want %d: %+v", len(f.told.outcomes), len(want), f.told.outcomes)
	}
	for i, e := range f.told.outcomes {
		if e.RequestID != want[i].request || e.Status != want[i].status || e.Error != want[i].error || e.HTTPStatus != want[i].http ||
			e.Tier != "gold" || e.Resource != "r" || e.Domain != "shop.example" || e.Bytes != 100 || e.Latency != 30*time.Millisecond {
			t.Errorf("outcome %d is %+v, want %+v", i, e, want[i])
		}
	}
	for result, count := range map[string]float64{entryReported: 4, entryAgain: 1, entrySkipped: 4, entryRefused: 1} {
		if got := counted(t, f.metrics.logEntries.WithLabelValues(result)); got != count {
			t.Errorf("%v entries are counted as %s, want %v", got, result, count)
		}
	}
}

func TestAStreamOfLogsEndsWithTheServer(t *testing.T) {
	f := unserved(t, func(*Options) {})
	ctx, end := context.WithCancel(t.Context())
	address, ended := serveUntil(t, f, ctx)
	stream, err := logv3.NewAccessLogServiceClient(f.dial(t, address)).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&logv3.StreamAccessLogsMessage{}); err != nil {
		t.Fatal(err)
	}
	for f.logStreams.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	end()
	if err := stream.RecvMsg(&logv3.StreamAccessLogsResponse{}); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// inbox is a stream of logs on which so many messages have arrived before anybody looks.
type inbox struct {
	logv3.AccessLogService_StreamAccessLogsServer
	ctx     context.Context //nolint:containedctx // it is what a stream has
	arrived int             // less than nothing: more and more
	message *logv3.StreamAccessLogsMessage
}

func (i *inbox) Context() context.Context { return i.ctx }

func (i *inbox) Recv() (*logv3.StreamAccessLogsMessage, error) {
	if i.arrived == 0 {
		<-i.ctx.Done()
		return nil, i.ctx.Err()
	}
	i.arrived--
	time.Sleep(time.Millisecond)
	return i.message, nil
}

// endingWith is a server that ends at once when it is to look at an inbox.
func endingWith(t *testing.T, f *fixture, arrived int) (took time.Duration) {
	t.Helper()
	told := structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"code": structpb.NewStringValue("VALID"), "keyId": structpb.NewStringValue(string(indextest.UID("key", "k"))), "requestId": structpb.NewStringValue("1"),
	}})
	e := entry(&structpb.Struct{Fields: map[string]*structpb.Value{"claviger": told}}, 200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := &inbox{ctx: ctx, arrived: arrived, message: &logv3.StreamAccessLogsMessage{LogEntries: &logv3.StreamAccessLogsMessage_HttpLogs{
		HttpLogs: &logv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*datav3.HTTPAccessLogEntry{e}},
	}}}
	ending := make(chan struct{})
	close(ending)
	start := time.Now()
	if err := (accessLogs{Server: f.Server, ending: ending}).StreamAccessLogs(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	return time.Since(start)
}

func TestLogsThatHaveArrivedAreTakenBeforeTheEnd(t *testing.T) {
	f := unserved(t, func(*Options) {})
	synctest.Test(t, func(t *testing.T) {
		const arrived = 50
		endingWith(t, f, arrived)
		took := counted(t, f.metrics.logEntries.WithLabelValues(entryReported)) + counted(t, f.metrics.logEntries.WithLabelValues(entryAgain))
		if took != arrived {
			t.Errorf("of %d entries %v were taken", arrived, took)
		}
	})
}

func TestAStreamOfLogsThatIsNeverQuietEndsAllTheSame(t *testing.T) {
	f := unserved(t, func(*Options) {})
	synctest.Test(t, func(t *testing.T) {
		if took := endingWith(t, f, -1); took > 2*mostAtEnd {
			t.Errorf("it ended after %v", took)
		}
	})
}

// What Envoy counts may be anything, and is no reason to lose the rest of the entry.
func TestBytesBeyondReasonAreCutDown(t *testing.T) {
	for _, test := range [][3]uint64{{1, 2, 3}, {math.MaxUint64, 1, verifier.MaxBytes}, {1 << 40, 1 << 40, verifier.MaxBytes}, {math.MaxUint64, math.MaxUint64, verifier.MaxBytes}} {
		var r verifier.Report
		fill(&r, entry(nil, 200, func(e *datav3.HTTPAccessLogEntry) {
			e.Response.ResponseBodyBytes, e.Response.ResponseHeadersBytes = test[0], test[1]
		}))
		if r.Bytes != int64(test[2]) {
			t.Errorf("%d and %d are %d bytes, want %d", test[0], test[1], r.Bytes, test[2])
		}
	}
}

func counted(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var out dto.Metric
	if err := c.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue()
}

// serveUntil serves until a context ends.
func serveUntil(t *testing.T, f *fixture, ctx context.Context) (address string, ended <-chan error) { //nolint:revive // the test is what it is about
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, listener, patience) }()
	return listener.Addr().String(), done
}
