package snapshot

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"
)

// floor is kept beside the snapshot and written after it. An older snapshot, put back from wherever,
// is told by its sequence number. It is also where a new time of contact goes, while nothing
// changes that would be worth another snapshot.
type floor struct {
	sequence uint64
	contact  time.Time
}

const floorFormat = "claviger snapshot floor 1 sequence %d contact %d checksum "

func (f floor) text() string {
	line := fmt.Sprintf(floorFormat, f.sequence, f.contact.UnixNano())
	return fmt.Sprintf("%s%08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

var errFloor = errors.New("it is damaged")

func parseFloor(text string) (floor, error) {
	var (
		f       floor
		contact int64
	)
	// Whatever it reads must be what would be written of it.
	if _, err := fmt.Sscanf(strings.TrimSpace(text), floorFormat, &f.sequence, &contact); err != nil {
		return floor{}, errFloor
	}
	if f.contact = time.Unix(0, contact); f.text() != text || f.sequence == 0 {
		return floor{}, errFloor
	}
	return f, nil
}

// readFloor reads the floor; that there is none is no error.
func readFloor(path string) (_ floor, exists bool, _ error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return floor{}, false, nil
	}
	if err != nil {
		return floor{}, true, err
	}
	f, err := parseFloor(string(text))
	return f, true, err
}
