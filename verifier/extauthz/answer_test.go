package extauthz

import (
	"fmt"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func headers(list ...string) (options []*corev3.HeaderValueOption) {
	for i := 0; i < len(list); i += 2 {
		options = append(options, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: list[i], Value: list[i+1]},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return options
}

func metadata(t *testing.T, fields map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(map[string]any{"claviger": fields})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// same compares an answer with one made of the generated types, and makes sure that it is all
// there is: nothing that the generated code does not know.
func same(t *testing.T, got, want *authv3.CheckResponse) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("the answer is\n%v\nwant\n%v", got, want)
	}
}

func TestAnAnswerIsWhatTheGeneratedTypesWouldSay(t *testing.T) {
	f := newFixture(t, limited("standard"), func(s *spec) {
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.Entity = &v1alpha1.Entity{Kind: "Agent", ID: "a-1", Department: "Sales & Ärger"}
	})
	indextest.SetAccount(f.index, "robot")
	indextest.SetLimit(f.index, "standard", 1, time.Minute, 0)
	id := string(indextest.UID("key", "k"))
	key := map[string]any{
		"code": "VALID", "requestId": "from-envoy", "keyId": id, "keyName": "k", "namespace": "tenant", "workspace": "tenant/shop", "environment": "live",
		"serviceAccount": "robot", "entityKind": "Agent", "entityId": "a-1", "entityDepartment": "Sales & Ärger", "scopes": []any{"read", "write"},
		"remaining": map[string]any{"minute": 0},
	}
	same(t, f.check(t, request([]string{"authorization: Bearer " + f.key, "x-claviger-made-up: x"})), &authv3.CheckResponse{
		Status: &rpcstatus.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: headers(
				"x-claviger-key-id", id, "x-claviger-key-name", "k", "x-claviger-namespace", "tenant", "x-claviger-workspace-id", "tenant/shop",
				"x-claviger-environment", "live", "x-claviger-service-account", "robot", "x-claviger-scopes", "read write",
				"x-claviger-entity-kind", "Agent", "x-claviger-entity-id", "a-1"),
			// No header can hold what is not ASCII.
			HeadersToRemove:      []string{"x-claviger-entity-department", "x-claviger-made-up", "x-api-key", "authorization"},
			ResponseHeadersToAdd: headers("ratelimit-policy", `"minute";q=1;w=60`, "ratelimit", `"minute";r=0;t=60`),
		}},
		DynamicMetadata: metadata(t, key),
	})
	const text = "Rate limit exceeded. Please try again later."
	key["code"] = "RATE_LIMITED"
	delete(key, "requestId")
	same(t, f.check(t, request([]string{"x-api-key: " + f.key})), &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: 8, Message: text},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_TooManyRequests},
			Headers: headers("content-type", "application/json", "cache-control", "no-store", "x-request-id", "from-envoy",
				"ratelimit-policy", `"minute";q=1;w=60`, "ratelimit", `"minute";r=0;t=60`, "retry-after", "60"),
			Body: fmt.Sprintf(`{"error":%q,"code":"RATE_LIMITED","requestId":"from-envoy"}`, text),
		}},
		DynamicMetadata: metadata(t, key),
	})
	same(t, f.check(t, request([]string{"x-api-key: " + f.key}, "workspace: tenant/other")), &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: 16, Message: "Invalid API key"},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode_Unauthorized},
			Headers: headers("content-type", "application/json", "cache-control", "no-store", "x-request-id", "from-envoy",
				"www-authenticate", `Bearer realm="claviger", error="invalid_token", error_description="Invalid API key"`),
			Body: `{"error":"Invalid API key","code":"KEY_INVALID","requestId":"from-envoy"}`,
		}},
		DynamicMetadata: metadata(t, map[string]any{"code": "WORKSPACE_MISMATCH"}),
	})
}
