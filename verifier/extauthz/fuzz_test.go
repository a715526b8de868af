package extauthz

import (
	"context"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Whatever is asked: there is an answer that the generated code can read, that says what to do,
// and that lets nothing pass without the key.
func FuzzCheck(f *testing.F) {
	x := unserved(f, func(*Options) {})
	placeholder := "ak_live_" + strings.Repeat("0", 32)
	for _, r := range []*authv3.CheckRequest{
		{},
		usual(placeholder),
		request([]string{"authorization: Bearer " + placeholder, "x-claviger-key-id: forged"}, "scope: read", "cost: 1"),
		request([]string{"authorization: Basic " + placeholder, "x-workspace-id: a"}, "anyScope: a,b", "workspace: c"),
		request([]string{"x-forwarded-for: 1, 2", "x-request-id: \x00"}, "scop: read"),
	} {
		f.Add(marshal(f, r), true)
	}
	codec := newCodec()
	f.Fuzz(func(t *testing.T, message []byte, withKey bool) {
		if withKey {
			// The key has the length of the placeholder, so that the message stays whole.
			message = []byte(strings.ReplaceAll(string(message), placeholder, x.key))
		}
		answer, err := x.Server.check(context.Background(), func(v any) error {
			return codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, v)
		})
		if err != nil {
			return // what is no request: compared with the generated code elsewhere
		}
		data, err := codec.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		defer data.Free()
		var response authv3.CheckResponse
		if err := proto.Unmarshal(data.Materialize(), &response); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		ok := response.GetOkResponse()
		if (response.GetStatus().GetCode() == 0) != (ok != nil) {
			t.Fatalf("the answer contradicts itself: %v", &response)
		}
		if ok == nil {
			if refusalOf(t, &response).status < 400 {
				t.Fatalf("a refusal says %v", &response)
			}
			return
		}
		if !withKey {
			t.Fatalf("without the key it passed: %v", &response)
		}
		var r authv3.CheckRequest
		if err := proto.Unmarshal(message, &r); err != nil {
			t.Fatal(err)
		}
		for name, value := range upstream(t, r.GetAttributes().GetRequest().GetHttp().GetHeaders(), ok) {
			if strings.HasPrefix(name, "x-claviger-") && !strings.HasPrefix(value, "tenant") && value != "k" && value != "live" && value != "read write" && !strings.Contains(value, "-") {
				t.Fatalf("the service gets %s: %s", name, value)
			}
		}
	})
}
