package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// A snapshot's file is a header, the payload, and a trailer. All numbers are big-endian.
//
//	magic     8 bytes
//	version   4 bytes
//	sequence  8 bytes, higher in each snapshot of a directory
//	contact   8 bytes, nanoseconds since 1970
//	origin   32 bytes, the SHA-256 of what names the cluster
//	payload
//	length    8 bytes, of the payload
//	checksum 32 bytes, the SHA-256 of all before it
//
// The length stands behind the payload, because it is known only when that is written.
type header struct {
	Magic    [8]byte
	Version  uint32
	Sequence uint64
	Contact  int64
	Origin   [sha256.Size]byte
}

const (
	version     = 1
	headerSize  = 8 + 4 + 8 + 8 + sha256.Size
	lengthSize  = 8
	trailerSize = lengthSize + sha256.Size
)

var magic = [8]byte{'c', 'l', 'a', 'v', 'i', 'g', 'e', 'r'}

func (h *header) contact() time.Time { return time.Unix(0, h.Contact) }

// encode writes a whole file and returns its size in bytes.
func encode(w io.Writer, h header, payload func(io.Writer) error) (int64, error) {
	checksum := sha256.New()
	buffered := bufio.NewWriterSize(w, 1<<18)
	all := io.MultiWriter(buffered, checksum)
	if err := binary.Write(all, binary.BigEndian, &h); err != nil {
		return 0, err
	}
	counted := &counter{w: all}
	if err := payload(counted); err != nil {
		return 0, err
	}
	if err := binary.Write(all, binary.BigEndian, counted.written); err != nil {
		return 0, err
	}
	if _, err := buffered.Write(checksum.Sum(nil)); err != nil {
		return 0, err
	}
	return headerSize + int64(counted.written) + trailerSize, buffered.Flush()
}

type counter struct {
	w       io.Writer
	written uint64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.written += uint64(n)
	return n, err
}

// damage is what is wrong with a file that nobody can use any more.
type damage string

// Error implements error.
func (d damage) Error() string { return string(d) }

// check reads a whole file of this size and returns its header. Nothing of the payload has been looked
// at when the checksum turns out wrong. The errors are what to say of the file.
func check(file io.ReaderAt, size int64) (header, error) {
	var h header
	if size < headerSize+trailerSize {
		return h, damage("it is cut off")
	}
	if err := binary.Read(io.NewSectionReader(file, 0, headerSize), binary.BigEndian, &h); err != nil {
		return h, fmt.Errorf("it cannot be read: %w", err)
	}
	switch {
	case h.Magic != magic:
		return h, damage("it is no snapshot")
	case h.Version != version:
		return h, fmt.Errorf("its format is %d, and this version of Claviger reads format %d", h.Version, version)
	}
	checksum := sha256.New()
	if _, err := io.Copy(checksum, io.NewSectionReader(file, 0, size-sha256.Size)); err != nil {
		return h, fmt.Errorf("it cannot be read: %w", err)
	}
	var trailer [trailerSize]byte
	if _, err := io.ReadFull(io.NewSectionReader(file, size-trailerSize, trailerSize), trailer[:]); err != nil {
		return h, fmt.Errorf("it cannot be read: %w", err)
	}
	if !bytes.Equal(trailer[lengthSize:], checksum.Sum(nil)) {
		return h, damage("its checksum is wrong: it is cut off or damaged")
	}
	if binary.BigEndian.Uint64(trailer[:]) != uint64(size-headerSize-trailerSize) {
		return h, damage("it is not as long as it says")
	}
	if h.Sequence == 0 || h.Sequence == math.MaxUint64 {
		return h, errors.New("its sequence number is none that is ever written")
	}
	return h, nil
}

// decode hands over the payload, all of which must be read.
func decode(file io.ReaderAt, size int64, payload func(io.Reader) error) error {
	section := io.NewSectionReader(file, headerSize, size-headerSize-trailerSize)
	if err := payload(section); err != nil {
		return err
	}
	if n, _ := section.Read(make([]byte, 1)); n > 0 {
		return errors.New("its content goes on behind its end")
	}
	return nil
}
