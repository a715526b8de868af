package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// GRPC is a unary call over HTTP/2, as a client that calls again and again makes it: after the
// first call its headers are a few bytes that point into the table both ends keep.
type GRPC struct {
	Address string
	Method  string // /package.Service/Method
	// Message is the encoded request.
	Message Template
	// Reply is how the encoded reply must begin.
	Reply []byte
}

// grpcPrefix is what stands before a message: not compressed, and its length.
const grpcPrefix = 5

type grpcPeer struct {
	*GRPC
	connection net.Conn
	call       []byte // HEADERS and DATA
	data       int    // where DATA begins in it
	stream     uint32
	frames     frameReader
}

// Connect opens a connection and makes a first call with the record, which fills the table
// of headers.
func (g *GRPC) Connect(record []byte) (Peer, error) {
	connection, err := dial("", g.Address)
	if err != nil {
		return nil, err
	}
	p := &grpcPeer{GRPC: g, connection: connection, stream: 1, frames: frameReader{connection: connection}}
	if err := p.open(record); err != nil {
		connection.Close() //nolint:errcheck // it is being given up
		return nil, err
	}
	return p, nil
}

func (p *grpcPeer) open(record []byte) error {
	var hello bytes.Buffer
	hello.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&hello, nil)
	// Of answers there may come more than any benchmark reads before the window needs care.
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return err
	}
	if err := framer.WriteWindowUpdate(0, 1<<31-1-65535); err != nil {
		return err
	}
	if _, err := p.connection.Write(hello.Bytes()); err != nil {
		return err
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for range 2 { // the first puts the headers into the table, the second points there
		block.Reset()
		for _, field := range p.header() {
			if err := encoder.WriteField(field); err != nil {
				return err
			}
		}
		if err := p.frame(block.Bytes()); err != nil {
			return err
		}
		if err := p.Ask(record); err != nil {
			return err
		}
	}
	return nil
}

func (g *GRPC) header() []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: g.Method},
		{Name: ":authority", Value: g.Address},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}
}

// frame makes the bytes of a call.
func (p *grpcPeer) frame(header []byte) error {
	var call bytes.Buffer
	framer := http2.NewFramer(&call, nil)
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: p.stream, BlockFragment: header, EndHeaders: true}); err != nil {
		return err
	}
	p.data = call.Len()
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(p.Message.Bytes)))
	if err := framer.WriteData(p.stream, true, append(message, p.Message.Bytes...)); err != nil {
		return err
	}
	p.call = call.Bytes()
	return nil
}

// Ask implements Peer.
func (p *grpcPeer) Ask(record []byte) error {
	reply, err := p.exchange(record)
	if err != nil {
		return err
	}
	if len(reply) < grpcPrefix || !bytes.HasPrefix(reply[grpcPrefix:], p.Reply) {
		return fmt.Errorf("the reply is %.200q, and does not begin with %.200q", reply, p.Reply)
	}
	return nil
}

func (p *grpcPeer) exchange(record []byte) (reply []byte, err error) {
	const streamID = 5 // where it stands in a frame's header
	binary.BigEndian.PutUint32(p.call[streamID:], p.stream)
	binary.BigEndian.PutUint32(p.call[p.data+streamID:], p.stream)
	p.Message.fill(p.call[p.data+frameHeader+grpcPrefix:], record)
	if _, err := p.connection.Write(p.call); err != nil {
		return nil, err
	}
	reply, err = p.frames.reply(p.stream)
	p.stream += 2
	return reply, err
}

// Close implements Peer.
func (p *grpcPeer) Close() error { return p.connection.Close() }

// Record calls once, and returns the encoded reply.
func (g *GRPC) Record(record []byte) ([]byte, error) {
	anyReply := *g
	anyReply.Reply = nil
	peer, err := anyReply.Connect(record)
	if err != nil {
		return nil, err
	}
	defer peer.Close() //nolint:errcheck // it was only read from
	reply, err := peer.(*grpcPeer).exchange(record)
	if err != nil || len(reply) < grpcPrefix {
		return nil, fmt.Errorf("no reply, but %d bytes: %w", len(reply), err)
	}
	return bytes.Clone(reply[grpcPrefix:]), nil
}
