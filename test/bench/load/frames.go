package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
)

// frameHeader is the length of what begins each frame (RFC 9113, section 4.1).
const frameHeader = 9

// frameReader reads HTTP/2 as far as one call at a time needs. It does not decode headers:
// that a call failed shows in that no message came.
type frameReader struct {
	connection net.Conn
	buffer     [longestAnswer]byte
	begin, end int // of what was read and not looked at yet
	message    []byte
}

// reply reads until the stream ends, and returns the data that came on it. It is good until
// the next call.
func (r *frameReader) reply(stream uint32) ([]byte, error) {
	r.message = r.message[:0]
	for {
		header, payload, err := r.next()
		if err != nil {
			return nil, err
		}
		of := binary.BigEndian.Uint32(header[5:]) & (1<<31 - 1)
		kind, flags := http2.FrameType(header[3]), http2.Flags(header[4])
		switch kind {
		case http2.FrameData:
			if of == stream {
				r.message = append(r.message, payload...)
			}
		case http2.FrameSettings, http2.FramePing:
			if err := r.acknowledge(header, payload); err != nil {
				return nil, err
			}
		case http2.FrameRSTStream, http2.FrameGoAway:
			return nil, fmt.Errorf("the server ended the call: %v %x", kind, payload)
		}
		ends := (kind == http2.FrameData || kind == http2.FrameHeaders) && flags.Has(http2.FlagDataEndStream)
		if ends && of == stream {
			return r.message, nil
		}
	}
}

// acknowledge answers a SETTINGS or PING that is not itself an answer, as a client must.
func (r *frameReader) acknowledge(header, payload []byte) error {
	if http2.Flags(header[4]).Has(http2.FlagSettingsAck) {
		return nil
	}
	length := 0
	if http2.FrameType(header[3]) == http2.FramePing {
		length = len(payload)
	}
	var ack [frameHeader + 8]byte
	ack[2], ack[3], ack[4] = byte(length), header[3], byte(http2.FlagSettingsAck)
	copy(ack[frameHeader:], payload[:length])
	_, err := r.connection.Write(ack[:frameHeader+length])
	return err
}

// next is the next frame. It is good until the next call.
func (r *frameReader) next() (header, payload []byte, err error) {
	if err := r.fill(frameHeader); err != nil {
		return nil, nil, err
	}
	h := r.buffer[r.begin:]
	length := frameHeader + (int(h[0])<<16 | int(h[1])<<8 | int(h[2]))
	if err := r.fill(length); err != nil {
		return nil, nil, err
	}
	frame := r.buffer[r.begin : r.begin+length]
	r.begin += length
	return frame[:frameHeader], frame[frameHeader:], nil
}

// fill reads until there are so many bytes.
func (r *frameReader) fill(length int) error {
	if length > len(r.buffer) {
		return errors.New("a frame is longer than any should be")
	}
	if r.begin+length > len(r.buffer) || r.begin == r.end {
		r.end = copy(r.buffer[:], r.buffer[r.begin:r.end])
		r.begin = 0
	}
	for r.end-r.begin < length {
		n, err := r.connection.Read(r.buffer[r.end:])
		r.end += n
		if err != nil && r.end-r.begin < length {
			return err
		}
	}
	return nil
}
