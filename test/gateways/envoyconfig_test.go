package gateways

import (
	"net"
	"strconv"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // named in the guides
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3" // named in the guides
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

const extAuthzFilter = "envoy.filters.http.ext_authz"

func TestEnvoyUnderstandsItsGuide(t *testing.T) {
	c := readEnvoy(t, block(t, "envoy.md", "envoy"))
	if c.authz.FailureModeAllow {
		t.Error("it would let everything through while the verifier is away")
	}
	for _, route := range c.routes {
		if extensionsOf(t, route)["scope"] == "" {
			t.Errorf("%v requires no scope", route.Match)
		}
	}
}

// envoyConfig is what matters here of a static configuration.
type envoyConfig struct {
	manager   *hcmv3.HttpConnectionManager
	authz     *extauthzv3.ExtAuthz
	routes    []*routev3.Route
	endpoints map[string]string // host:port of each cluster
}

// readEnvoy reads a bootstrap as Envoy would: unknown fields and types are mistakes, and so is
// what the rules on the fields refuse.
func readEnvoy(t *testing.T, text string) *envoyConfig {
	t.Helper()
	var bootstrap bootstrapv3.Bootstrap
	readProto(t, text, &bootstrap)
	c := &envoyConfig{manager: &hcmv3.HttpConnectionManager{}, authz: &extauthzv3.ExtAuthz{}, endpoints: map[string]string{}}
	listener := bootstrap.StaticResources.Listeners[0]
	unpack(t, listener.FilterChains[0].Filters[0].GetTypedConfig(), c.manager)
	for _, filter := range c.manager.HttpFilters {
		if filter.Name == extAuthzFilter {
			unpack(t, filter.GetTypedConfig(), c.authz)
		}
	}
	if c.authz.GetGrpcService() == nil {
		t.Fatal("no filter asks by ext_authz")
	}
	c.routes = c.manager.GetRouteConfig().VirtualHosts[0].Routes
	for _, cluster := range bootstrap.StaticResources.Clusters {
		c.endpoints[cluster.Name] = endpointOf(cluster)
	}
	return c
}

func endpointOf(cluster *clusterv3.Cluster) string {
	address := cluster.LoadAssignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress()
	return hostPort(address.Address, address.GetPortValue())
}

func hostPort(host string, port uint32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// readProto reads a message written as YAML, and all messages within it.
func readProto(t *testing.T, text string, message proto.Message) {
	t.Helper()
	json, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(json, message); err != nil {
		t.Fatal(err)
	}
	validate(t, message)
}

func validate(t *testing.T, message proto.Message) {
	t.Helper()
	if v, ok := message.(interface{ ValidateAll() error }); ok {
		if err := v.ValidateAll(); err != nil {
			t.Errorf("%s: %v", message.ProtoReflect().Descriptor().FullName(), err)
		}
	}
	validateNested(t, message.ProtoReflect())
}

// validateNested finds what is packed: validation stops there.
func validateNested(t *testing.T, message protoreflect.Message) {
	t.Helper()
	if packed, ok := message.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		validate(t, inner)
		return
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					validateNested(t, v.Message())
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				validateNested(t, value.List().Get(i).Message())
			}
		default:
			validateNested(t, value.Message())
		}
		return true
	})
}

func unpack(t *testing.T, packed *anypb.Any, into proto.Message) {
	t.Helper()
	if err := packed.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
}

// extensionsOf are the context extensions of a route.
func extensionsOf(t *testing.T, route *routev3.Route) map[string]string {
	t.Helper()
	var perRoute extauthzv3.ExtAuthzPerRoute
	unpack(t, route.TypedPerFilterConfig[extAuthzFilter], &perRoute)
	return perRoute.GetCheckSettings().GetContextExtensions()
}
