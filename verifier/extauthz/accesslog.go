package extauthz

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// accessLogs is Envoy's access-log service, so that users of the door need not report themselves how requests
// ended: Envoy tells the status, the bytes and the time of each.
//
// The protocol: https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/accesslog/v3/als.proto
type accessLogs struct {
	logv3.UnimplementedAccessLogServiceServer
	*Server
	ending <-chan struct{} // closed once the server ends
}

// Each of Envoy's threads keeps one stream open.
const maxLogStreams = 256

// Filter is the name of Envoy's filter, under which it keeps what this door tells it of a request.
const Filter = "envoy.filters.http.ext_authz"

// StreamAccessLogs implements AccessLogServiceServer. An entry that makes no sense ends no stream: Envoy would lose
// what it has yet to send.
func (a accessLogs) StreamAccessLogs(stream logv3.AccessLogService_StreamAccessLogsServer) error {
	if !arrived(stream.Context()) {
		return errNoMessage
	}
	defer a.logStreams.Add(-1)
	if a.logStreams.Add(1) > maxLogStreams {
		return status.Error(codes.ResourceExhausted, "too many streams of access logs are open")
	}
	messages, failed := receiveLogs(stream)
	ending := a.ending
	var enough, quiet <-chan time.Time // once the server ends
	for {
		select {
		case m := <-messages:
			a.takeAll(stream, m)
			if quiet != nil {
				quiet = time.After(quietAtEnd)
			}
		case err := <-failed: // which comes after all messages
			if errors.Is(err, io.EOF) {
				return stream.SendAndClose(&logv3.StreamAccessLogsResponse{})
			}
			return err
		case <-ending:
			// Envoy sends nothing twice: what has arrived is lost unless it is taken now.
			ending, enough, quiet = nil, time.After(mostAtEnd), time.After(quietAtEnd)
		case <-quiet:
			return errEnding
		case <-enough:
			return errEnding
		}
	}
}

// receiveLogs receives until that fails. A message is handed over before the next one is received.
func receiveLogs(stream logv3.AccessLogService_StreamAccessLogsServer) (<-chan *logv3.StreamAccessLogsMessage, <-chan error) {
	messages, failed := make(chan *logv3.StreamAccessLogsMessage), make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- m:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	return messages, failed
}

const (
	// What has arrived is there at once: after such a pause there is no more of it.
	quietAtEnd = 100 * time.Millisecond
	// A stream that is never quiet must not hold up the end for longer.
	mostAtEnd = time.Second
)

var errEnding = status.Error(codes.Unavailable, "the verifier ends; connect to another")

func (a accessLogs) takeAll(stream logv3.AccessLogService_StreamAccessLogsServer, m *logv3.StreamAccessLogsMessage) {
	for _, entry := range m.GetHttpLogs().GetLogEntry() {
		a.metrics.logEntries.WithLabelValues(a.take(stream, entry)).Inc()
	}
}

// What became of an entry, as the metric has it.
const (
	entryReported = "reported"
	entryAgain    = "again"   // it was reported before
	entrySkipped  = "skipped" // no request that the door let pass
	entryRefused  = "refused" // it makes no sense, or its key is gone
	entryFailed   = "failed"  // limits could not be reached
)

// take reports how a request ended.
func (a accessLogs) take(stream logv3.AccessLogService_StreamAccessLogsServer, entry *datav3.HTTPAccessLogEntry) (result string) {
	told := entry.GetCommonProperties().GetMetadata().GetFilterMetadata()[Filter].GetFields()["claviger"].GetStructValue().GetFields()
	id, key := text(told, "requestId"), text(told, "keyId")
	if key == "" || text(told, "code") != verifier.CodeValid.String() || strings.HasPrefix(entry.GetResponse().GetResponseCodeDetails(), "ext_authz") {
		return entrySkipped
	}
	r := verifier.Report{RequestID: id}
	var err error
	if r.KeyID, err = verifier.ParseKeyID(key); err != nil || !presented.ValidReportedID(id) {
		return entryRefused
	}
	fill(&r, entry)
	r.Labels.Tier, r.Resource = text(told, "tier"), text(told, "resource")
	reported, err := a.verifier.Report(stream.Context(), r)
	switch {
	case errors.Is(err, verifier.ErrLimitsUnavailable):
		return entryFailed
	case err != nil:
		return entryRefused
	case reported.Again:
		return entryAgain
	}
	return entryReported
}

func text(fields map[string]*structpb.Value, name string) string {
	return fields[name].GetStringValue()
}

// fill says what Envoy knows of a request that has ended.
func fill(r *verifier.Report, entry *datav3.HTTPAccessLogEntry) {
	common, response := entry.GetCommonProperties(), entry.GetResponse()
	r.HTTPStatus = int(response.GetResponseCode().GetValue())
	// Each for itself first: their sum could overflow.
	r.Bytes = int64(min(min(response.GetResponseBodyBytes(), verifier.MaxBytes)+min(response.GetResponseHeadersBytes(), verifier.MaxBytes), verifier.MaxBytes))
	if took := common.GetTimeToLastDownstreamTxByte(); took.IsValid() {
		r.Latency = min(max(took.AsDuration(), 0), verifier.MaxLatency)
	}
	r.Labels.Domain = domainOf(entry.GetRequest().GetAuthority())
	r.Outcome = verifier.OutcomeSuccess
	switch {
	case r.HTTPStatus == 0: // the client went away, or nothing came from the service
		r.Outcome, r.Error = verifier.OutcomeFailure, "NO_RESPONSE"
	case r.HTTPStatus >= http.StatusBadRequest:
		r.Outcome, r.Error = verifier.OutcomeFailure, "HTTP_"+strconv.Itoa(r.HTTPStatus)
	}
	if r.HTTPStatus < 100 || r.HTTPStatus > 999 {
		r.HTTPStatus = 0
	}
	if flags := common.GetResponseFlags(); flags.GetUpstreamRequestTimeout() || flags.GetStreamIdleTimeout() {
		r.Outcome, r.Error = verifier.OutcomeFailure, "UPSTREAM_TIMEOUT"
	}
}

// domainOf is the host of an authority, in small letters.
func domainOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = authority
	}
	if len(host) > 253 { // than which no name is longer (RFC 1035, 2.3.4)
		return ""
	}
	return strings.ToLower(host)
}
