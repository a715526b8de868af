package main

import (
	"context"
	"os"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// serveBareGRPC answers every check with the same answer, through the generated code: the limit
// of grpc-go for whoever uses it as it is meant to be used.
func serveBareGRPC(o childOptions) error {
	text, err := os.ReadFile(o.Answers[checkMethod])
	if err != nil {
		return err
	}
	service := &bareAuthorization{answer: &authv3.CheckResponse{}}
	if err := proto.Unmarshal(text, service.answer); err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, service)
	return serve(o, nil, server.Serve)
}

type bareAuthorization struct {
	authv3.UnimplementedAuthorizationServer
	answer *authv3.CheckResponse
}

// Check implements authv3.AuthorizationServer.
func (b *bareAuthorization) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return b.answer, nil
}
