package keyindex

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"unsafe"
)

// texts holds the names of keys end to end, so that they cost their letters and no more. What
// was written stays as it is for as long as anybody holds a string of it.
type texts struct {
	blocks atomic.Pointer[[][]byte]
	room   int // what is left of the last block
	live   int // bytes that a key refers to
	dead   int // bytes that none does any more
}

const (
	blockBits = 16
	blockSize = 1 << blockBits
	// A text is two lengths, a name of a Kubernetes object and what people call it.
	lengths = 3
	maxName = 255
)

// add writes two texts and returns where they are.
func (t *texts) add(name, display string) uint64 {
	name, display = name[:min(len(name), maxName)], display[:min(len(display), 1<<16-1)]
	size := lengths + len(name) + len(display)
	if size > blockSize {
		display = ""
		size = lengths + len(name)
	}
	var blocks [][]byte
	if known := t.blocks.Load(); known != nil {
		blocks = *known
	}
	if t.room < size {
		t.dead += t.room
		blocks = append(blocks, make([]byte, blockSize))
		t.room = blockSize
		t.blocks.Store(&blocks)
	}
	number := len(blocks) - 1
	at := blockSize - t.room
	block := blocks[number][at:]
	block[0] = byte(len(name))
	binary.LittleEndian.PutUint16(block[1:], uint16(len(display)))
	copy(block[lengths:], name)
	copy(block[lengths+len(name):], display)
	t.room -= size
	t.live += size
	return uint64(number)<<blockBits | uint64(at)
}

// read returns the texts at a place. The strings share the block's memory.
func read(blocks [][]byte, at uint64) (name, display string) {
	block := blocks[at>>blockBits][at%blockSize:]
	nameLength, displayLength := int(block[0]), int(binary.LittleEndian.Uint16(block[1:]))
	// A block's bytes are never written again once their place is known to anybody.
	return unsafe.String(unsafe.SliceData(block[lengths:]), nameLength), unsafe.String(unsafe.SliceData(block[lengths+nameLength:]), displayLength)
}

// drop takes note that nobody refers to a text any more.
func (t *texts) drop(name, display string) {
	size := lengths + len(name) + len(display)
	t.live -= size
	t.dead += size
}

// wasteful says whether it is worth writing all texts anew.
func (t *texts) wasteful() bool { return t.dead > t.live+16*blockSize }

// renew lets the caller write all texts anew, and then forgets where they were. Those who hold
// strings of before keep them.
func (t *texts) renew(rewrite func()) {
	before := len(*t.blocks.Load())
	t.room, t.live, t.dead = 0, 0, 0
	rewrite()
	// The numbers of blocks go on, so that a place of before is never one of after.
	blocks := slices.Clone(*t.blocks.Load())
	clear(blocks[:before])
	t.blocks.Store(&blocks)
}

// adopt takes over the texts of another.
func (t *texts) adopt(other *texts) {
	t.room, t.live, t.dead = other.room, other.live, other.dead
	t.blocks.Store(other.blocks.Load())
}
