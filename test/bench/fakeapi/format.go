package fakeapi

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// format is one of the two formats of the API.
type format interface {
	mediaType() string
	// object encodes an object.
	object(client.Object) ([]byte, error)
	// decode reads what object wrote.
	decode([]byte) (client.Object, error)
	// event writes an event of a watch, with an object as it was encoded.
	event(w io.Writer, event string, encoded []byte) error
}

// The formats that a server offers for a kind, the native one first.
func (k kind) formats() []format {
	if k.native == (protobufFormat{}) {
		return []format{protobufFormat{}, jsonFormat{}}
	}
	return []format{jsonFormat{}}
}

// negotiate chooses the first format that the client accepts and that there is, as API
// servers do; without any it is JSON.
func (k kind) negotiate(accept string) format {
	for clause := range strings.SplitSeq(accept, ",") {
		mediaType, parameters, err := mime.ParseMediaType(clause)
		if err != nil || parameters["as"] != "" {
			continue // tables and metadata alone are not to be had
		}
		for _, f := range k.formats() {
			if mediaType == f.mediaType() {
				return f
			}
		}
	}
	return jsonFormat{}
}

var (
	jsonSerializer     = jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{})
	protobufSerializer = protobuf.NewSerializer(scheme, scheme)
)

type jsonFormat struct{}

func (jsonFormat) mediaType() string { return runtime.ContentTypeJSON }

func (jsonFormat) object(o client.Object) ([]byte, error) {
	encoded, err := encode(jsonSerializer, o)
	return bytes.TrimSpace(encoded), err
}

func (jsonFormat) decode(encoded []byte) (client.Object, error) {
	return decode(jsonSerializer, encoded)
}

func (jsonFormat) event(w io.Writer, event string, encoded []byte) error {
	for _, part := range [][]byte{[]byte(`{"type":"` + event + `","object":`), encoded, []byte("}\n")} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

type protobufFormat struct{}

func (protobufFormat) mediaType() string { return runtime.ContentTypeProtobuf }

func (protobufFormat) object(o client.Object) ([]byte, error) { return encode(protobufSerializer, o) }

func (protobufFormat) decode(encoded []byte) (client.Object, error) {
	return decode(protobufSerializer, encoded)
}

func (protobufFormat) event(w io.Writer, event string, encoded []byte) error {
	e := metav1.WatchEvent{Type: event, Object: runtime.RawExtension{Raw: encoded}}
	frame, err := e.Marshal()
	if err != nil {
		return err
	}
	_, err = protobuf.LengthDelimitedFramer.NewFrameWriter(w).Write(frame)
	return err
}

// encode writes the kind into the object, as servers do.
func encode(serializer runtime.Serializer, o client.Object) ([]byte, error) {
	kinds, _, err := scheme.ObjectKinds(o)
	if err != nil {
		return nil, err
	}
	o.GetObjectKind().SetGroupVersionKind(kinds[0])
	var encoded bytes.Buffer
	err = serializer.Encode(o, &encoded)
	return encoded.Bytes(), err
}

func decode(serializer runtime.Serializer, encoded []byte) (client.Object, error) {
	decoded, _, err := serializer.Decode(encoded, nil, nil)
	if err != nil {
		return nil, err
	}
	return decoded.(client.Object), nil
}

// in is an object as it is kept, in another format.
func (k kind) in(f format, encoded []byte) ([]byte, error) {
	if f == k.native {
		return encoded, nil
	}
	o, err := k.native.decode(encoded)
	if err != nil {
		return nil, err
	}
	return f.object(o)
}

// list encodes a list.
func (k kind) list(version uint64, items [][]byte, f format) ([]byte, error) {
	if f == (protobufFormat{}) {
		return k.protobufList(version, items)
	}
	raw := make([]json.RawMessage, len(items))
	for i, item := range items {
		raw[i] = item
	}
	return json.Marshal(map[string]any{
		"apiVersion": k.version.String(), "kind": k.kind + "List",
		"metadata": map[string]string{"resourceVersion": versionText(version)}, "items": raw,
	})
}
