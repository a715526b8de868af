package extauthz

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

// patience is for what other goroutines have to do first.
const patience = 30 * time.Second

var now = indextest.IssuedAt.Add(time.Hour)

type spec = v1alpha1.ApiKeySpec

// fixture is the door over an index with one key, "k", of the scopes read and write, and a client
// made of the generated code.
type fixture struct {
	*Server
	index  *keyindex.Index
	told   *ledger // what is recorded
	key    string
	conn   *grpc.ClientConn
	client authv3.AuthorizationClient
}

// ledger is a Recorder that remembers the outcomes.
type ledger struct {
	mu       sync.Mutex
	outcomes []usage.Event
}

func (*ledger) Record(usage.Event) {}

func (l *ledger) Report(e usage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, e)
}

type serverOption func(*Options)

func newFixture(t testing.TB, edits ...func(*spec)) *fixture {
	return newFixtureWith(t, func(*Options) {}, edits...)
}

func newFixtureWith(t testing.TB, change serverOption, edits ...func(*spec)) *fixture {
	t.Helper()
	f := unserved(t, change, edits...)
	f.conn = f.dial(t, f.listen(t))
	f.client = authv3.NewAuthorizationClient(f.conn)
	return f
}

// unserved is a fixture without a network.
func unserved(t testing.TB, change serverOption, edits ...func(*spec)) *fixture {
	t.Helper()
	f := &fixture{index: indextest.New(), told: &ledger{}}
	f.key = indextest.Issue(t, f.index, "k", append([]func(*spec){func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"read", "write"}
	}}, edits...)...)
	clock := func() time.Time { return now }
	v, err := verifier.New(verifier.Options{Index: f.index, Recorder: f.told, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Log: logr.Discard(), Now: clock}
	change(&o)
	if f.Server, err = New(v, o); err != nil {
		t.Fatal(err)
	}
	return f
}

// listen serves until the test ends.
func (f *fixture) listen(t testing.TB) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Serve(ctx, listener, patience) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return listener.Addr().String()
}

func (f *fixture) dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// request is what Envoy asks: the headers of a client, which it has made lower case, and the
// configuration of a route. Both are pairs "name: value".
func request(headers []string, extensions ...string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "192.0.2.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 4711}},
		}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "from-envoy", Method: "GET", Path: "/", Host: "shop.example", Headers: pairs(headers),
		}},
		ContextExtensions: pairs(extensions),
	}}
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, ": ")
		if m[name] != "" {
			value = m[name] + "," + value // as Envoy joins equal ones
		}
		m[name] = value
	}
	return m
}

func (f *fixture) check(t testing.TB, r *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	response, err := f.client.Check(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// allowed makes sure that a request may pass, and returns what the service gets of its headers.
func (f *fixture) allowed(t testing.TB, r *authv3.CheckRequest) map[string]string {
	t.Helper()
	response := f.check(t, r)
	if response.GetStatus().GetCode() != int32(codes.OK) || response.GetOkResponse() == nil {
		t.Fatalf("it is refused: %v", response)
	}
	return upstream(t, r.GetAttributes().GetRequest().GetHttp().GetHeaders(), response.GetOkResponse())
}

// upstream does to a client's headers what Envoy does: it sets, and then it removes.
func upstream(t testing.TB, sent map[string]string, ok *authv3.OkHttpResponse) map[string]string {
	t.Helper()
	headers := maps.Clone(sent)
	for name, value := range set(t, ok.GetHeaders()) {
		headers[name] = value
	}
	for _, name := range ok.GetHeadersToRemove() {
		if _, too := set(t, ok.GetHeaders())[name]; too {
			t.Errorf("%s is set and removed", name)
		}
		delete(headers, name)
	}
	return headers
}

// set is the headers of a list, all of which must overwrite.
func set(t testing.TB, options []*corev3.HeaderValueOption) map[string]string {
	t.Helper()
	headers := map[string]string{}
	for _, option := range options {
		name := option.GetHeader().GetKey()
		if option.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || option.Append != nil { //nolint:staticcheck // it must not be used
			t.Errorf("%s does not overwrite", name)
		}
		if _, twice := headers[name]; twice || name != strings.ToLower(name) {
			t.Errorf("%s is there twice, or not in lower case", name)
		}
		headers[name] = option.GetHeader().GetValue()
	}
	return headers
}

// refusal is what the client is told.
type refusal struct {
	status  int
	code    codes.Code
	headers map[string]string
	problem problem
}

func (f *fixture) refused(t testing.TB, r *authv3.CheckRequest) refusal {
	t.Helper()
	return refusalOf(t, f.check(t, r))
}

// refusalOf reads a refusal, and makes sure that it is a whole one.
func refusalOf(t testing.TB, response *authv3.CheckResponse) refusal {
	t.Helper()
	denied := response.GetDeniedResponse()
	if response.GetStatus().GetCode() == int32(codes.OK) || denied == nil {
		t.Fatalf("it is not refused: %v", response)
	}
	got := refusal{
		status:  int(denied.GetStatus().GetCode()),
		code:    codes.Code(response.GetStatus().GetCode()),
		headers: set(t, denied.GetHeaders()),
	}
	decoder := json.NewDecoder(strings.NewReader(denied.GetBody()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got.problem); err != nil {
		t.Fatalf("the body is no JSON as promised: %v", err)
	}
	p := got.problem
	if p.Error == "" || p.Code == "" || p.RequestID == "" || p.RequestID != got.headers["x-request-id"] || p.Error != response.GetStatus().GetMessage() {
		t.Errorf("the error is not whole: %v", response)
	}
	if got.headers["content-type"] != "application/json" || got.headers["cache-control"] != "no-store" {
		t.Errorf("the headers are %v", got.headers)
	}
	return got
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func stranger(t testing.TB) string {
	t.Helper()
	key, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func limited(name string) func(*spec) {
	return func(s *spec) { s.LimitRefs = indextest.Refs(name) }
}
