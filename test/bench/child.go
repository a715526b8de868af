package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // on http.DefaultServeMux, which no door uses
)

// childCommand is how this program is started again, as one of the servers below.
const childCommand = "child"

// children serve until they are killed.
var children = map[string]func(childOptions) error{
	"bare-http": serveBareHTTP,
	"bare-grpc": serveBareGRPC,
	"index":     serveIndex,
}

// childOptions are all that children are told.
type childOptions struct {
	// Answers of the bare servers: files with what a verifier answered, by path or method.
	Answers map[string]string `json:",omitempty"`
	// Keys is a file with the keys of the index.
	Keys string `json:",omitempty"`
	// Ballast is memory that is allocated and not used, in bytes: with more of it the garbage
	// collector runs less often.
	Ballast int `json:",omitempty"`
	// Usage is where the index server counts: in a file, or nowhere at all; empty: what is counted is thrown away.
	Usage string `json:",omitempty"`
}

func runChild(args []string) error {
	serve, ok := children[args[0]]
	var o childOptions
	if !ok || len(args) != 2 || json.Unmarshal([]byte(args[1]), &o) != nil {
		return errors.New("make bench starts this by itself")
	}
	return serve(o)
}

// addresses are where a server listens; empty: it has no such door.
type addresses struct {
	HTTP, GRPC string
	// Profiles is where pprof is.
	Profiles string
}

// serve listens, says where on a line of its own, and serves.
func serve(o childOptions, http1, grpc func(net.Listener) error) error {
	ballast := make([]byte, o.Ballast)
	defer clear(ballast) // so that it is kept until then
	var at addresses
	ended := make(chan error)
	for _, door := range []struct {
		address *string
		serve   func(net.Listener) error
	}{
		{&at.HTTP, http1}, {&at.GRPC, grpc},
		{&at.Profiles, func(l net.Listener) error { return http.Serve(l, nil) }},
	} {
		if door.serve == nil {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*door.address = listener.Addr().String()
		go func() { ended <- door.serve(listener) }()
	}
	line, err := json.Marshal(at)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return <-ended
}
