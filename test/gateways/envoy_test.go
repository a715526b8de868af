package gateways

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// Envoy itself cannot be had from a package registry. In its place stands a proxy that asks by
// the same protocol over real gRPC, with the configuration of the guide, and does with the answers
// what Envoy's documentation says that Envoy does.
func TestEnvoysProtocol(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.tellsLimits = true
	s.leavesParameters = true
	config := readEnvoy(t, replace(t, block(t, "envoy.md", "envoy"),
		"port_value: 8000", "port_value: "+s.port()[1:],
		"port_value: 9191", "port_value: "+portOf(t, s.verifier.grpcAddress),
		"port_value: 9000", "port_value: "+portOf(t, s.upstream.address)))
	startEnvoy(t, s, config)
	t.Run("gives up waiting for the verifier", s.givesUpWaiting)
	t.Run("leaves the service its own credentials", s.leavesOtherCredentials)
	s.protects(t)
}

// Envoy is told in which header the key was; the other gateways end both at the gateway.
func (s *site) leavesOtherCredentials(t *testing.T) {
	const other = "Bearer a.users.token"
	a := s.arrived(t, s.send(t, request{headers: bearing(s.verifier.keys[keyGood], "Authorization: "+other)}))
	if got := a.header.Get("Authorization"); got != other {
		t.Errorf("Authorization arrived as %q", got)
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// envoy stands in for Envoy.
type envoy struct {
	config     *envoyConfig
	client     authv3.AuthorizationClient
	extensions map[*routev3.Route]map[string]string
}

func startEnvoy(t *testing.T, s *site, config *envoyConfig) {
	t.Helper()
	cluster := config.authz.GetGrpcService().GetEnvoyGrpc().ClusterName
	conn, err := grpc.NewClient(config.endpoints[cluster], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	e := &envoy{config: config, client: authv3.NewAuthorizationClient(conn), extensions: map[*routev3.Route]map[string]string{}}
	for _, route := range config.routes {
		e.extensions[route] = extensionsOf(t, route)
	}
	listener, err := net.Listen("tcp", s.gateway)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: patience}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
}

func (e *envoy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name := range r.Header {
		if strings.Contains(name, "_") && e.config.manager.CommonHttpProtocolOptions.HeadersWithUnderscoresAction == corev3.HttpProtocolOptions_REJECT_REQUEST {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	target, ok := e.normalize(r)
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	route := e.route(target)
	if route == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e.addClientAddress(r)
	r.Header.Del("Connection")
	ctx, cancel := context.WithTimeout(r.Context(), e.config.authz.GetGrpcService().Timeout.AsDuration())
	defer cancel()
	answer, err := e.client.Check(ctx, e.question(r, target, e.extensions[route]))
	switch {
	case err != nil && e.config.authz.FailureModeAllow:
	case err != nil:
		w.WriteHeader(int(e.config.authz.StatusOnError.Code))
		return
	case codes.Code(answer.Status.GetCode()) != codes.OK:
		deny(w, answer.GetDeniedResponse())
		return
	default:
		change(w.Header(), r.Header, answer.GetOkResponse())
	}
	e.forward(w, r, target, e.config.endpoints[route.GetRoute().GetCluster()])
}

// normalize does to the path what normalize_path, merge_slashes and path_with_escaped_slashes_action
// ask for.
func (e *envoy) normalize(r *http.Request) (string, bool) {
	raw, query, hasQuery := strings.Cut(r.RequestURI, "?")
	if u, err := url.Parse(raw); err == nil && u.IsAbs() {
		raw = u.EscapedPath()
	}
	lower := strings.ToLower(raw)
	if strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") {
		return "", false
	}
	raw = strings.NewReplacer("%2e", ".", "%2E", ".", `\`, "/").Replace(raw)
	clean := path.Clean(raw)
	if strings.HasSuffix(raw, "/") && clean != "/" {
		clean += "/"
	}
	if hasQuery {
		clean += "?" + query
	}
	return clean, strings.HasPrefix(clean, "/")
}

func (e *envoy) route(target string) *routev3.Route {
	for _, route := range e.config.routes {
		if strings.HasPrefix(target, route.Match.GetPrefix()) {
			return route
		}
	}
	return nil
}

// addClientAddress is use_remote_address: the peer's address comes last.
func (e *envoy) addClientAddress(r *http.Request) {
	if !e.config.manager.UseRemoteAddress.GetValue() {
		return
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	r.Header.Set("X-Forwarded-For", strings.Join(append(r.Header["X-Forwarded-For"], host), ","))
}

func (e *envoy) question(r *http.Request, target string, extensions map[string]string) *authv3.CheckRequest {
	host, port, _ := net.SplitHostPort(r.RemoteAddr)
	number, _ := strconv.ParseUint(port, 10, 16)
	headers := map[string]string{":method": r.Method, ":path": target, ":authority": r.Host, ":scheme": "http"}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(number)},
		}}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: r.Method, Headers: headers, Path: target, Host: r.Host, Scheme: "http", Protocol: r.Proto,
		}},
		ContextExtensions: extensions,
	}}
}

func deny(w http.ResponseWriter, denied *authv3.DeniedHttpResponse) {
	status := int(denied.GetStatus().GetCode())
	if status == 0 {
		status = http.StatusForbidden
	}
	apply(w.Header(), denied.GetHeaders())
	w.WriteHeader(status)
	io.WriteString(w, denied.GetBody())
}

// change does what an answer asks for, what is to be removed last, as Envoy does.
func change(client, service http.Header, ok *authv3.OkHttpResponse) {
	apply(service, ok.GetHeaders())
	for _, name := range ok.GetHeadersToRemove() {
		service.Del(name)
	}
	apply(client, ok.GetResponseHeadersToAdd())
}

func apply(header http.Header, options []*corev3.HeaderValueOption) {
	for _, option := range options {
		value := option.Header.Value
		if value == "" {
			value = string(option.Header.RawValue)
		}
		exists := header.Get(option.Header.Key) != ""
		switch option.AppendAction {
		case corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
			header.Add(option.Header.Key, value)
		case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			header.Set(option.Header.Key, value)
		case corev3.HeaderValueOption_ADD_IF_ABSENT:
			if !exists {
				header.Set(option.Header.Key, value)
			}
		case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
			if exists {
				header.Set(option.Header.Key, value)
			}
		}
	}
}

func (e *envoy) forward(w http.ResponseWriter, r *http.Request, target, endpoint string) {
	to, err := url.ParseRequestURI(target)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	to.Scheme, to.Host = "http", endpoint
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.Header = r.Header.Clone()
			p.Out.Host = r.Host
			p.Out.URL = to
		},
		ErrorLog:      log.New(io.Discard, "", 0),
		FlushInterval: time.Millisecond,
	}
	proxy.ServeHTTP(w, r)
}
