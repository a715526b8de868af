package keyindex

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/policy"
)

// maxItem bounds what one item may claim to hold, in bytes: an API server takes no larger object.
const maxItem = 4 << 20

var errMalformed = errors.New("this is not an index as it was written")

// Decode reads what Encode wrote. Whatever is malformed, or is cut off or goes on, is an error,
// and then there is no index.
func Decode(r io.Reader) (*Index, error) {
	d := &decoder{r: bufio.NewReader(r), x: New()}
	for {
		item, err := d.r.ReadByte()
		if err == nil && item == itemEnd {
			if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("%w: it goes on behind its end", errMalformed)
			}
			return d.x, nil
		}
		if err == nil {
			err = d.item(item)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
	}
}

type decoder struct {
	r        *bufio.Reader
	x        *Index
	profiles []profileSpec
}

func (d *decoder) item(item byte) error {
	switch item {
	case itemProfile:
		var spec profileSpec
		if err := d.json(&spec); err != nil {
			return err
		}
		d.profiles = append(d.profiles, spec)
		return nil
	case itemKey:
		return d.key()
	case itemCredential, itemForeignCredential:
		return d.credential(item == itemForeignCredential)
	case itemWorkspace:
		return decodeObject(d, d.x.SetWorkspace)
	case itemServiceAccount:
		return decodeObject(d, d.x.SetServiceAccount)
	case itemKeyLimit:
		return decodeObject(d, d.x.SetKeyLimit)
	}
	return fmt.Errorf("there is no item of kind %d", item)
}

func decodeObject[Object any](d *decoder, set func(*Object)) error {
	object := new(Object)
	if err := d.json(object); err != nil {
		return err
	}
	set(object)
	return nil
}

func (d *decoder) key() error {
	var (
		k     declared
		state byte
		err   error
	)
	if k.id, err = d.id(); err != nil {
		return err
	}
	if k.name, err = d.text(); err != nil {
		return err
	}
	if k.display, err = d.text(); err != nil {
		return err
	}
	if state, err = d.r.ReadByte(); err != nil {
		return err
	}
	if k.state = policy.State(state); k.state > policy.Revoked {
		return fmt.Errorf("there is no state %d", state)
	}
	if k.stated, err = d.instant(); err != nil {
		return err
	}
	ordinal, err := binary.ReadUvarint(d.r)
	if err != nil {
		return err
	}
	if ordinal >= uint64(len(d.profiles)) {
		return fmt.Errorf("a key has profile %d of %d", ordinal, len(d.profiles))
	}
	defer d.x.lock()()
	d.x.declare(k, d.x.profile(d.profiles[ordinal]))
	return nil
}

func (d *decoder) credential(foreign bool) error {
	var err error
	i := issue{foreign: foreign}
	if i.id, err = d.id(); err != nil {
		return err
	}
	if _, err = io.ReadFull(d.r, i.hash[:]); err != nil {
		return err
	}
	generation, err := binary.ReadUvarint(d.r)
	if err != nil {
		return err
	}
	if generation > maxGeneration {
		return fmt.Errorf("there is no generation %d", generation)
	}
	i.generation = int(generation)
	if i.issued, err = d.instant(); err != nil {
		return err
	}
	if i.notAfter, err = d.instant(); err != nil {
		return err
	}
	defer d.x.lock()()
	d.x.issue(i)
	return nil
}

func (d *decoder) id() (id keyid.ID, err error) {
	_, err = io.ReadFull(d.r, id[:])
	if err == nil && id.IsZero() {
		err = errors.New("a key has no ID")
	}
	return id, err
}

func (d *decoder) instant() (uint64, error) {
	i, err := binary.ReadUvarint(d.r)
	if err == nil && i > instantMask {
		err = errors.New("a time is out of range")
	}
	return i, err
}

func (d *decoder) text() (string, error) {
	length, err := binary.ReadUvarint(d.r)
	if err != nil {
		return "", err
	}
	if length > maxItem {
		return "", fmt.Errorf("a text claims to be %d bytes long", length)
	}
	// Not made before it is known to be there: the length may be a lie.
	text, err := io.ReadAll(io.LimitReader(d.r, int64(length)))
	if err == nil && uint64(len(text)) < length {
		err = io.ErrUnexpectedEOF
	}
	return string(text), err
}

func (d *decoder) json(into any) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// Adopt takes over what another index holds, which must not be used any more. It does nothing
// and returns false where this one holds anything already: what came from a feed is newer.
func (x *Index) Adopt(other *Index) bool {
	defer x.lockWide()()
	defer other.lockWide()()
	if x.counts != (Counts{}) {
		return false
	}
	x.credentials.adopt(&other.credentials)
	x.keys.adopt(&other.keys)
	x.profiles.adopt(&other.profiles)
	x.names.adopt(&other.names)
	x.byUID, x.rivals, x.byContent = other.byUID, other.rivals, other.byContent
	x.workspaces, x.accounts, x.limits = other.workspaces, other.accounts, other.limits
	x.buckets, x.counts = other.buckets, other.counts
	x.foreign.Store(other.foreign.Load())
	// Last: from here on readers find what is in the others.
	x.table.Store(other.table.Load())
	return true
}
