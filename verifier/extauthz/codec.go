package extauthz

import (
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec reads and writes the messages of this door by itself, and leaves those of other services
// to the generated code.
type codec struct {
	others encoding.CodecV2
}

func newCodec() codec { return codec{others: encoding.GetCodecV2(proto.Name)} }

// Name implements encoding.CodecV2.
func (codec) Name() string { return proto.Name }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	x, ours := v.(*exchange)
	if !ours {
		return c.others.Unmarshal(data, v)
	}
	return x.receive(data)
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	message, ours := v.(*[]byte)
	if !ours {
		return c.others.Marshal(v)
	}
	return mem.BufferSlice{mem.NewBuffer(message, messages)}, nil
}

// messages are the memory of answers. It comes back when grpc has sent them.
var messages = &messagePool{sync.Pool{New: func() any {
	message := make([]byte, 0, usualMessage)
	return &message
}}}

const (
	// usualMessage is enough for nearly all answers, in bytes. Below 1024 grpc would not give the memory back.
	usualMessage = 2 << 10
	// largeMessage is more than is kept for the next answer.
	largeMessage = 16 << 10
)

type messagePool struct{ sync.Pool }

// Get implements mem.BufferPool, which asks for none here.
func (p *messagePool) Get(length int) *[]byte {
	message := make([]byte, length)
	return &message
}

// Put implements mem.BufferPool.
func (p *messagePool) Put(message *[]byte) {
	if cap(*message) <= largeMessage {
		*message = (*message)[:0]
		p.Pool.Put(message)
	}
}
