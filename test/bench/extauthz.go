package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
)

const checkMethod = authv3.Authorization_Check_FullMethodName

// measureExtAuthz is the door for Envoy, asked as Envoy asks, against a grpc-go server
// with the generated messages: one that answers as little as there can be said, and
// one that answers what the verifier does.
func measureExtAuthz(ctx context.Context, b *bench) error {
	people, err := b.people(b.keys)
	if err != nil {
		return err
	}
	v, err := b.startIndex(ctx, people, childOptions{})
	if err != nil {
		return err
	}
	records := people.Keys.Records()
	least, same, err := b.bareEnvoy(ctx, v, records)
	if err != nil {
		return err
	}
	alone, err := b.sides(b.saturated,
		side{"ext_authz", v, connectToEnvoysDoor, records},
		side{"bare ext_authz", least, connectToEnvoysDoor, records},
		side{"bare ext_authz with the same answer", same, connectToEnvoysDoor, records},
	)
	if err != nil {
		return err
	}
	samples, err := b.alternate(ctx, b.rounds, alone)
	if err != nil {
		return err
	}
	b.addTransport(fmt.Sprintf("ext_authz, %s keys, bare says nothing but OK", b.usual()), "extauthz_ratio", samples[0], samples[1])
	b.addTransport(fmt.Sprintf("ext_authz, %s keys, bare says the same", b.usual()), "", samples[0], samples[2])
	return b.envoyAtProcess(ctx, least, records)
}

// envoyAtProcess is the door of a whole verifier process.
func (b *bench) envoyAtProcess(ctx context.Context, bare *server, records load.Records) error {
	v, err := b.fedVerifier(ctx)
	if err != nil {
		return err
	}
	whole, err := b.sides(b.saturatedProcess, side{"ext_authz by a process", &v.server, connectToEnvoysDoor, records})
	if err != nil {
		return err
	}
	least, err := b.sides(b.saturated, side{"bare ext_authz", bare, connectToEnvoysDoor, records})
	if err != nil {
		return err
	}
	samples, err := b.alternate(ctx, b.processRounds(), append(whole, least...))
	if err != nil {
		return err
	}
	b.addTransport("ext_authz, a whole process that stores usage, bare says nothing but OK", "process_extauthz_ratio", samples[0], samples[1])
	return nil
}

// bareEnvoy starts the two bare servers.
func (b *bench) bareEnvoy(ctx context.Context, v *server, records load.Records) (least, same *server, err error) {
	question, err := checkQuestion(v.GRPC, records)
	if err != nil {
		return nil, nil, err
	}
	seen, err := question.Record(records.At(0))
	if err != nil {
		return nil, nil, err
	}
	nothing, err := proto.Marshal(&authv3.CheckResponse{
		Status: &rpcstatus.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	})
	if err != nil {
		return nil, nil, err
	}
	if least, err = b.answering(ctx, "least", nothing); err != nil {
		return nil, nil, err
	}
	same, err = b.answering(ctx, "same", seen)
	return least, same, err
}

func (b *bench) answering(ctx context.Context, name string, answer []byte) (*server, error) {
	file := b.path(name)
	if err := os.WriteFile(file, answer, 0o600); err != nil {
		return nil, err
	}
	return b.startChild(ctx, "bare-grpc", childOptions{Answers: map[string]string{checkMethod: file}, Ballast: bareBallast})
}

// connectToEnvoysDoor connects to a server's door for Envoy, or to a bare one.
func connectToEnvoysDoor(s *server, records load.Records) (connect, error) {
	question, err := checkQuestion(s.GRPC, records)
	if err != nil {
		return nil, err
	}
	if question.Reply, err = allowed(question, records); err != nil {
		return nil, err
	}
	return func() (load.Peer, error) { return question.Connect(records.At(0)) }, nil
}

// allowed makes sure that a request may pass, and returns how every such answer of that server
// begins: with the Status.
func allowed(question *load.GRPC, records load.Records) ([]byte, error) {
	encoded, err := question.Record(records.At(0))
	if err != nil {
		return nil, err
	}
	answer := &authv3.CheckResponse{}
	if err := proto.Unmarshal(encoded, answer); err != nil {
		return nil, err
	}
	const statusHead = 2 // the number of the field, and a length below 128
	if answer.GetOkResponse() == nil || answer.GetStatus().GetCode() != 0 || len(encoded) < statusHead {
		return nil, fmt.Errorf("the request may not pass: %v", answer)
	}
	return encoded[:statusHead+int(encoded[1])], nil
}

// checkQuestion is a request with 12 headers, as Envoy asks about it.
func checkQuestion(address string, records load.Records) (*load.GRPC, error) {
	encoded, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:      &authv3.AttributeContext_Peer{Address: socket(population.ClientIP, 51234)},
		Destination: &authv3.AttributeContext_Peer{Address: socket("10.1.2.3", 8443)},
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.New(population.IssuedAt),
			Http: &authv3.AttributeContext_HttpRequest{
				Id: "9473102938475610293", Method: "POST", Path: "/orders/4711/items", Host: "api.example.com", Scheme: "https", Protocol: "HTTP/2", Size: -1,
				Headers: map[string]string{
					":authority": "api.example.com", ":method": "POST", ":path": "/orders/4711/items", ":scheme": "https",
					"accept": "*/*", "accept-encoding": "gzip, deflate, br", "user-agent": "curl/8.14.1",
					"x-forwarded-for": population.ClientIP, "x-forwarded-proto": "https", "x-request-id": "3c3fbbd4-58b8-4b0b-a11d-5b1d8a1c9d55",
					"x-api-key": field(records, population.AtKey), "x-workspace-id": field(records, population.AtWorkspace),
				},
			},
		},
		ContextExtensions: map[string]string{"scope": strings.Join(population.Scopes(), " "), "resource": field(records, population.AtResource)},
	}})
	if err != nil {
		return nil, err
	}
	g := &load.GRPC{Address: address, Method: checkMethod, Message: load.Template{Bytes: encoded}}
	return g, fill(&g.Message, records, population.AtKey, population.AtWorkspace, population.AtResource)
}

func socket(address string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
