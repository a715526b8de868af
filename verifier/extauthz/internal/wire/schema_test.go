package wire

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The schema is written by hand. A field that Envoy adds has to be added to it, or the scanner
// would accept what others refuse.
func TestTheSchemaIsThatOfTheGeneratedCode(t *testing.T) {
	compare(t, checkRequest, (&authv3.CheckRequest{}).ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{})
}

func compare(t *testing.T, got message, want protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	t.Helper()
	// The address of a source is read in its own way, but has the same fields.
	if seen[want.FullName()] && want.Name() != "Peer" && want.Name() != "Address" && want.Name() != "SocketAddress" {
		return
	}
	seen[want.FullName()] = true
	for number := range got {
		if got[number].kind != none && want.Fields().ByNumber(protoreflect.FieldNumber(number)) == nil {
			t.Errorf("%s has no field %d", want.FullName(), number)
		}
	}
	for i := range want.Fields().Len() {
		f := want.Fields().Get(i)
		var has field
		if int(f.Number()) < len(got) {
			has = got[f.Number()]
		}
		kind, of := wanted(f)
		if has.kind != kind {
			t.Errorf("%s is of kind %d, want %d", f.FullName(), has.kind, kind)
		}
		switch {
		case (has.of == nil) != (of == nil):
			t.Errorf("%s holds the wrong kind of content", f.FullName())
		case of != nil:
			compare(t, *has.of, of, seen)
		}
	}
}

func wanted(f protoreflect.FieldDescriptor) (kind, protoreflect.MessageDescriptor) {
	switch {
	case f.IsMap() && f.MapKey().Kind() == protoreflect.StringKind:
		if f.MapValue().Kind() == protoreflect.StringKind {
			return mapField, nil
		}
		return mapField, f.MapValue().Message()
	case f.Kind() == protoreflect.MessageKind:
		return messageField, f.Message()
	case f.Kind() == protoreflect.StringKind:
		return stringField, nil
	case f.Kind() == protoreflect.BytesKind:
		return bytesField, nil
	case f.IsList():
		panic("a list of numbers may be packed, which the scanner does not know")
	}
	return none, nil
}
