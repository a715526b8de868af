package keyindex

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyid"
)

// What an encoded index is made of: items, each behind a byte that says what it is. A profile
// stands before the first key that has it, and is referred to by how many came before it.
const (
	itemEnd byte = iota
	itemProfile
	itemKey
	itemCredential
	itemWorkspace
	itemServiceAccount
	itemKeyLimit
	itemForeignCredential // written as any credential; a verifier from before there were any refuses it
)

// Encode writes all that the index holds, for Decode. Keys may change meanwhile, and each is written as
// it was at one moment. Of Workspaces, ServiceAccounts and KeyLimits only a suspension takes hold
// meanwhile, and is written: so what is written was never wider than the index itself.
//
// It is put together in memory first, in about a hundred bytes for each key, and nobody waits for the writer.
func (x *Index) Encode(w io.Writer) error {
	e := &encoder{profiles: map[*profile]uint64{}}
	x.encode(e)
	if e.err != nil {
		return e.err
	}
	for _, part := range e.parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) encode(e *encoder) {
	x.wide.Lock()
	defer x.wide.Unlock()
	for number, more := uint32(1), true; more; {
		x.mu.Lock()
		end := min(number+chunkSize, max(1, x.keys.next))
		for ; number < end; number++ {
			if x.keys.at(number).inUse() {
				x.encodeKey(e, number)
			}
		}
		more = number < x.keys.next
		x.mu.Unlock()
		e.part()
		if x.between != nil {
			x.between()
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.encodeWide(e)
	e.write(itemEnd, nil)
	e.part()
}

type encoder struct {
	written  bytes.Buffer
	parts    [][]byte
	profiles map[*profile]uint64 // by how many came before
	buffer   []byte
	err      error
}

// part puts aside what is written, in no more memory than it needs.
func (e *encoder) part() {
	e.parts = append(e.parts, bytes.Clone(e.written.Bytes()))
	e.written.Reset()
}

func (e *encoder) write(item byte, content []byte) {
	e.written.WriteByte(item)
	e.written.Write(content)
}

func (e *encoder) json(item byte, object any) {
	text, err := json.Marshal(object)
	if err != nil {
		e.err = err
		return
	}
	e.buffer = appendText(e.buffer[:0], string(text))
	e.write(item, e.buffer)
}

func (x *Index) encodeKey(e *encoder, number uint32) {
	k := x.keys.at(number)
	id := k.id()
	if k.profile() != 0 {
		p := x.profiles.at(k.profile()).Load().profile
		ordinal, known := e.profiles[p]
		if !known {
			ordinal = uint64(len(e.profiles))
			e.profiles[p] = ordinal
			e.json(itemProfile, &p.spec)
		}
		name, display := read(*x.names.blocks.Load(), k.place())
		b := append(e.buffer[:0], id[:]...)
		b = appendText(appendText(b, name), display)
		b = append(b, byte(k.state()))
		b = binary.AppendUvarint(b, k.statedEnd())
		e.buffer = binary.AppendUvarint(b, ordinal)
		e.write(itemKey, e.buffer)
	}
	for number := k.first(); number != 0; number = x.credentials.at(number).nextOfKey() {
		e.credential(id, x.credentials.at(number))
	}
}

func (e *encoder) credential(id keyid.ID, c *credentialRecord) {
	hash := hashFrom(c.hashWords())
	b := append(append(e.buffer[:0], id[:]...), hash[:]...)
	b = binary.AppendUvarint(b, uint64(c.generation()))
	b = binary.AppendUvarint(b, c.issuedAt())
	e.buffer = binary.AppendUvarint(b, c.approvedEnd())
	item := itemCredential
	if c.foreign() {
		item = itemForeignCredential
	}
	e.write(item, e.buffer)
}

func (x *Index) encodeWide(e *encoder) {
	for _, name := range sortedNames(x.workspaces) {
		w := x.workspaces[name]
		if value := w.value.Load(); w.object != nil && value != nil {
			object := &v1alpha1.Workspace{ObjectMeta: bare(w.object.ObjectMeta), Spec: w.object.Spec}
			object.Spec.Suspended = value.Suspended
			e.json(itemWorkspace, object)
		}
	}
	for _, name := range sortedNames(x.accounts) {
		a := x.accounts[name]
		if value := a.value.Load(); a.object != nil && value != nil {
			object := &v1alpha1.ServiceAccount{ObjectMeta: bare(a.object.ObjectMeta), Spec: a.object.Spec}
			object.Spec.Suspended = value.Suspended
			e.json(itemServiceAccount, object)
		}
	}
	for _, name := range sortedNames(x.limits) {
		if l := x.limits[name]; l.object != nil {
			e.json(itemKeyLimit, &v1alpha1.KeyLimit{ObjectMeta: bare(l.object.ObjectMeta), Spec: l.object.Spec})
		}
	}
}

func bare(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID}
}

func sortedNames[Object any](all map[types.NamespacedName]Object) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(all), func(a, b types.NamespacedName) int {
		return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
	})
}
