package usagejournal

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// A frame is the length of its payload and the checksum of that, four bytes each, and then the payload. So what a
// kill or a full disk cut off in the middle is told from what is whole.

const frameHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealFrame fills in the head that was left free before the payload.
func sealFrame(frame []byte) []byte {
	payload := frame[frameHead:]
	binary.LittleEndian.PutUint32(frame, uint32(len(payload)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(payload, castagnoli))
	return frame
}

// nextFrame cuts the first frame off. It is io.EOF where there is none.
func nextFrame(in []byte) (payload, rest []byte, err error) {
	if len(in) == 0 {
		return nil, nil, io.EOF
	}
	if len(in) < frameHead {
		return nil, nil, errCutOff
	}
	length, sum := binary.LittleEndian.Uint32(in), binary.LittleEndian.Uint32(in[4:])
	if uint64(length) > uint64(len(in)-frameHead) {
		return nil, nil, errCutOff
	}
	payload, rest = in[frameHead:frameHead+int(length)], in[frameHead+int(length):]
	if crc32.Checksum(payload, castagnoli) != sum {
		return nil, nil, errCutOff
	}
	return payload, rest, nil
}
