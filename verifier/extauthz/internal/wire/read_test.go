package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// reading is a Request in a form that can be compared.
type reading struct {
	Source, ID, Path string
	Extensions       map[string]string
	Headers          [headers][]string
	Own              []string
}

var ownName = regexp.MustCompile("^x[-_.!#$%&'*+^`|~]claviger[-_.!#$%&'*+^`|~]")

func scanned(r *Request) reading {
	got := reading{Source: string(r.Source), ID: string(r.ID), Path: string(r.Path), Extensions: map[string]string{}}
	for _, e := range r.Extensions {
		got.Extensions[string(e.Name)] = string(e.Value)
	}
	for h := range headers {
		got.Headers[h] = r.AppendValues(nil, h)
	}
	for _, name := range r.Own {
		got.Own = append(got.Own, string(name))
	}
	slices.Sort(got.Own)
	got.Own = slices.Compact(got.Own)
	return got
}

// generated is what the generated code makes of a message: the reference.
func generated(m *authv3.CheckRequest) reading {
	http := m.GetAttributes().GetRequest().GetHttp()
	want := reading{
		Source:     m.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetAddress(),
		ID:         http.GetId(),
		Path:       http.GetPath(),
		Extensions: map[string]string{},
	}
	for name, value := range m.GetAttributes().GetContextExtensions() {
		want.Extensions[name] = value
	}
	add := func(name, value string) {
		if h, ok := headerNamed([]byte(name)); ok {
			want.Headers[h] = append(want.Headers[h], value)
		}
		if ownName.MatchString(name) {
			want.Own = append(want.Own, name)
		}
	}
	for name, value := range http.GetHeaders() {
		if value == "" {
			add(name, "")
			if h, ok := headerNamed([]byte(name)); ok {
				want.Headers[h] = nil // an empty header is as good as none
			}
			continue
		}
		add(name, value)
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		value := string(h.GetRawValue())
		if value == "" {
			value = h.GetValue()
		}
		add(h.GetKey(), value)
	}
	slices.Sort(want.Own)
	want.Own = slices.Compact(want.Own)
	return want
}

// agree fails unless both make the same of a message.
func agree(t interface{ Fatalf(string, ...any) }, b []byte) (accepted bool) {
	var (
		r Request
		m authv3.CheckRequest
	)
	err, want := r.Read(b), proto.Unmarshal(b, &m)
	if (err == nil) != (want == nil) {
		t.Fatalf("%.200x: the scanner says %v, the generated code %v", b, err, want)
	}
	if err != nil {
		return false
	}
	if got, want := scanned(&r), generated(&m); !reflect.DeepEqual(got, want) {
		t.Fatalf("%.200x:\nthe scanner reads   %+v\nthe generated code %+v", b, got, want)
	}
	return true
}

func bytesOf(number protowire.Number, contents ...string) string {
	var b []byte
	for _, content := range contents {
		b = protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), content)
	}
	return string(b)
}

func number(number protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v))
}

// The ways to the places in a CheckRequest that are read.
func inAttributes(content string) string { return bytesOf(1, content) }
func inHTTP(content string) string       { return inAttributes(bytesOf(4, bytesOf(2, content))) }
func inSource(content string) string     { return inAttributes(bytesOf(1, content)) }

func entry(name, value string) string { return bytesOf(1, name) + bytesOf(2, value) }

func nested(depth int) string {
	s := ""
	for range depth {
		s = bytesOf(6, bytesOf(1, s)) // a Value that is a ListValue of a Value
	}
	return s
}

// strange are messages that are legal or nearly so, and that no serializer writes.
var strange = map[string]string{
	"nothing":                        "",
	"an ID twice":                    inHTTP(bytesOf(1, "a", "b")),
	"an ID taken back":               inHTTP(bytesOf(1, "a", "")),
	"attributes twice":               inHTTP(bytesOf(1, "a")) + inHTTP(bytesOf(4, "/p")) + inAttributes(""),
	"a header in both halves":        inHTTP(bytesOf(3, entry("x-api-key", "a"))) + inHTTP(bytesOf(3, entry("x-api-key", "b"))),
	"a header twice":                 inHTTP(bytesOf(3, entry("authorization", "a"), entry("authorization", "b"))),
	"a header taken back":            inHTTP(bytesOf(3, entry("authorization", "a"), entry("authorization", ""))),
	"a header without a value":       inHTTP(bytesOf(3, bytesOf(1, "x-api-key"))),
	"a header without a name":        inHTTP(bytesOf(3, bytesOf(2, "v"))),
	"a header, value first":          inHTTP(bytesOf(3, bytesOf(2, "v")+bytesOf(1, "x-api-key"))),
	"a header with two names":        inHTTP(bytesOf(3, bytesOf(1, "x-api-key", "authorization")+bytesOf(2, "u", "v"))),
	"a header with more":             inHTTP(bytesOf(3, entry("x-api-key", "v")+bytesOf(3, "\xff")+number(1, 7))),
	"a header with a number":         inHTTP(bytesOf(3, number(1, 7)+number(2, 7))),
	"a header with a big field":      inHTTP(bytesOf(3, string(protowire.AppendVarint(nil, 1<<32)))),
	"a header that is no UTF-8":      inHTTP(bytesOf(3, entry("x-api-key", "\xff"))),
	"another that is no UTF-8":       inHTTP(bytesOf(3, entry("\xff", ""))),
	"raw headers":                    inHTTP(bytesOf(13, bytesOf(1, bytesOf(1, "x-api-key")+bytesOf(3, "a\xff"), bytesOf(1, "x-api-key")+bytesOf(3, "b")))),
	"raw headers in two halves":      inHTTP(bytesOf(13, bytesOf(1, bytesOf(1, "x-api-key")+bytesOf(3, "a"))) + bytesOf(13, bytesOf(1, bytesOf(1, "x-api-key")+bytesOf(3, "b")))),
	"a raw header with both":         inHTTP(bytesOf(13, bytesOf(1, entry("x-api-key", "v")+bytesOf(3, "r")))),
	"a raw header as text":           inHTTP(bytesOf(13, bytesOf(1, entry("x-api-key", "v")))),
	"a raw header, empty":            inHTTP(bytesOf(13, bytesOf(1, bytesOf(1, "x-api-key")), "")),
	"a raw header taken back":        inHTTP(bytesOf(13, bytesOf(1, bytesOf(3, "a", "")+entry("x-api-key", "t")))),
	"raw headers beside the map":     inHTTP(bytesOf(3, entry("x-api-key", "a")) + bytesOf(13, bytesOf(1, bytesOf(1, "x-api-key")+bytesOf(3, "b")))),
	"our headers":                    inHTTP(bytesOf(3, entry("x-claviger-key-id", "a"), entry("x_claviger_key_id", "a"), entry("x.claviger~key.id", "a"), entry("xyclaviger-key-id", "a"), entry("x-claviger", ""), entry("x-claviger-", ""))),
	"a source":                       inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1")))),
	"a source in two halves":         inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1")))) + inSource(bytesOf(1, bytesOf(1, number(3, 80)))),
	"a pipe after a socket":          inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1"))+bytesOf(2, ""))),
	"a socket after a pipe":          inSource(bytesOf(1, bytesOf(2, "")+bytesOf(1, bytesOf(2, "10.0.0.1")))),
	"a pipe between sockets":         inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1"))+bytesOf(2, "")+bytesOf(1, ""))),
	"an internal address":            inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1"))+bytesOf(3, bytesOf(1, "x")))),
	"no pipe, of the wrong type":     inSource(bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1"))+number(2, 1))),
	"a destination":                  inAttributes(bytesOf(2, bytesOf(1, bytesOf(1, bytesOf(2, "10.0.0.1"))))),
	"labels":                         inSource(bytesOf(3, entry("a", "b"))),
	"labels that are no UTF-8":       inSource(bytesOf(3, entry("a", "\xff"))),
	"extensions":                     inAttributes(bytesOf(10, entry("scope", "a"), entry("scope", "b"), entry("cost", "1"))),
	"an unknown field":               inAttributes(bytesOf(99, "x")) + number(77, 1),
	"an unknown group":               string(protowire.AppendTag(nil, 9, protowire.StartGroupType)) + number(1, 1) + string(protowire.AppendTag(nil, 9, protowire.EndGroupType)),
	"a known field as a group":       string(protowire.AppendTag(nil, 1, protowire.StartGroupType)) + string(protowire.AppendTag(nil, 1, protowire.EndGroupType)),
	"a group without an end":         string(protowire.AppendTag(nil, 9, protowire.StartGroupType)),
	"an end without a group":         string(protowire.AppendTag(nil, 9, protowire.EndGroupType)),
	"groups that cross":              string(protowire.AppendTag(nil, 9, protowire.StartGroupType)) + string(protowire.AppendTag(nil, 8, protowire.EndGroupType)),
	"a field 0":                      "\x02\x00",
	"the largest field":              string(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.BytesType)) + "\x00",
	"a field too large":              string(protowire.AppendTag(nil, protowire.MaxValidNumber+1, protowire.BytesType)) + "\x00",
	"a reserved type":                "\x0e",
	"a length beyond the end":        "\x0a\x05a",
	"a length that wraps around":     "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	"a length of too many bytes":     "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
	"a length in more than it needs": "\x0a\x80\x80\x00",
	"a tag in more than it needs":    "\x8a\x80\x00\x00",
	"a size":                         inHTTP(number(9, 1<<63)),
	"sizes, packed":                  inHTTP(bytesOf(9, "\x01\x02")),
	"a size cut off":                 inHTTP("\x48\x80"),
	"a body":                         inHTTP(bytesOf(11, "a") + bytesOf(12, "\xff")),
	"a body that is no UTF-8":        inHTTP(bytesOf(11, "\xff")),
	"a time":                         inAttributes(bytesOf(4, bytesOf(1, number(1, 5)+number(2, 6)))),
	"metadata":                       inAttributes(bytesOf(11, bytesOf(1, bytesOf(1, "a")+bytesOf(2, bytesOf(1, bytesOf(1, "b")+bytesOf(2, bytesOf(3, "c"))))))),
	"metadata that is no UTF-8":      inAttributes(bytesOf(11, bytesOf(1, bytesOf(1, "a")+bytesOf(2, bytesOf(1, bytesOf(1, "b")+bytesOf(2, bytesOf(3, "\xff"))))))),
	"typed metadata":                 inAttributes(bytesOf(13, bytesOf(2, bytesOf(1, "a")+bytesOf(2, bytesOf(1, "type")+bytesOf(2, "\xff"))))),
	"metadata, deep":                 inAttributes(bytesOf(11, bytesOf(1, bytesOf(2, bytesOf(1, bytesOf(2, nested(400))))))),
	"a session":                      inAttributes(bytesOf(12, bytesOf(1, "sni"))),
}

func TestStrangeMessagesAreReadAsTheGeneratedCodeReadsThem(t *testing.T) {
	for name, message := range strange {
		t.Run(name, func(t *testing.T) { agree(t, []byte(message)) })
	}
}

func TestAMessageThatEnvoySendsIsRead(t *testing.T) {
	b, err := proto.Marshal(typical())
	if err != nil {
		t.Fatal(err)
	}
	if !agree(t, b) {
		t.Fatal("it is refused")
	}
	var r Request
	if err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	got := scanned(&r)
	if got.Source != "10.1.2.3" || got.ID != "e4a7" || got.Headers[APIKey][0] != "ak_live_x" || got.Headers[ForwardedFor][0] != "192.0.2.7" || got.Extensions["scope"] != "orders:read" {
		t.Errorf("it is read as %+v", got)
	}
	// Cut off anywhere, it is refused or read, but always as the generated code does.
	for i := range b {
		agree(t, b[:i])
	}
}

// To be nested deeper than the generated code bears is refused by both.
func TestTheDepthIsBounded(t *testing.T) {
	wrap := func(depth int) []byte {
		return []byte(inAttributes(bytesOf(11, bytesOf(1, bytesOf(2, bytesOf(1, bytesOf(2, nested(depth))))))))
	}
	accepted, refused := 0, protowire.DefaultRecursionLimit
	for refused-accepted > 1 {
		depth := (accepted + refused) / 2
		if agree(t, wrap(depth)) {
			accepted = depth
		} else {
			refused = depth
		}
	}
	if accepted == 0 || refused == protowire.DefaultRecursionLimit {
		t.Errorf("from a depth of %d on it is refused", refused)
	}
}

func TestAResetRequestKnowsNothing(t *testing.T) {
	var r Request
	for name, message := range strange {
		if r.Read([]byte(message)) == nil && name != "nothing" {
			r.Reset()
		}
		r.Reset()
		if got := scanned(&r); !reflect.DeepEqual(got, scanned(&Request{})) {
			t.Fatalf("after %s it still knows %+v", name, got)
		}
	}
}

func typical() *authv3.CheckRequest {
	address := func(host string) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 41234}}}}}
	}
	meta, err := structpb.NewStruct(map[string]any{"a": []any{1, "b", nil, true, map[string]any{"c": 2.5}}})
	if err != nil {
		panic(err)
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: address("10.1.2.3"), Destination: address("10.1.2.4"),
		Request: &authv3.AttributeContext_Request{Time: timestamppb.New(timestamppb.Now().AsTime()), Http: &authv3.AttributeContext_HttpRequest{
			Id: "e4a7", Method: "GET", Path: "/orders/1?x=y", Host: "shop.example", Scheme: "https", Size: -1, Protocol: "HTTP/2",
			Headers: map[string]string{
				":authority": "shop.example", ":method": "GET", ":path": "/orders/1?x=y", ":scheme": "https",
				"accept": "*/*", "user-agent": "curl/8.5.0", "x-api-key": "ak_live_x", "x-forwarded-for": "192.0.2.7",
				"x-forwarded-proto": "https", "x-request-id": "e4a7", "x-claviger-key-id": "spoofed", "cookie": strings.Repeat("a=b; ", 20),
			},
		}},
		ContextExtensions: map[string]string{"scope": "orders:read", "cost": "2"},
		MetadataContext:   &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": meta}},
		TlsSession:        &authv3.AttributeContext_TLSSession{Sni: "shop.example"},
	}}
}

// anyMessage draws a message of a type: its fields in any order and number, some of the wrong type,
// some cut off.
func anyMessage(t *rapid.T, d protoreflect.MessageDescriptor, depth int) []byte {
	var b []byte
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		b = append(b, anyField(t, d, depth)...)
	}
	return b
}

func anyField(t *rapid.T, d protoreflect.MessageDescriptor, depth int) []byte {
	known := d.Fields().Len() > 0 && rapid.IntRange(0, 9).Draw(t, "known") > 0
	var f protoreflect.FieldDescriptor
	n := protowire.Number(rapid.Int32Range(1, 200).Draw(t, "number"))
	if known {
		f = d.Fields().Get(rapid.IntRange(0, d.Fields().Len()-1).Draw(t, "field"))
		n = f.Number()
	}
	switch {
	case rapid.IntRange(0, 29).Draw(t, "odd") == 0:
		odd := rapid.SampledFrom([]protowire.Type{protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType, 6}).Draw(t, "type")
		return append(protowire.AppendTag(nil, n, odd), rapid.SampledFrom([]string{"\x01", "\x80\x01", "\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00", ""}).Draw(t, "content")...)
	case f == nil || f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
		text := rapid.SampledFrom([]string{"", "a", "b", "x-api-key", "authorization", "x-claviger-a", "x_claviger-a", "x.claviger~a", "10.0.0.1", "scope", "é", "\xff"}).Draw(t, "text")
		return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), text)
	case f.Message() != nil && depth > 0:
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), anyMessage(t, f.Message(), depth-1))
	}
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), rapid.Uint64().Draw(t, "n"))
}

func TestAnyMessageIsReadAsTheGeneratedCodeReadsIt(t *testing.T) {
	d := (&authv3.CheckRequest{}).ProtoReflect().Descriptor()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		b := anyMessage(t, d, 8)
		if agree(t, b) && len(b) > 0 {
			accepted++
		}
		if len(b) > 0 && rapid.Bool().Draw(t, "cut") {
			agree(t, b[:rapid.IntRange(0, len(b)-1).Draw(t, "at")])
		}
	})
	if accepted == 0 {
		t.Error("all of them were refused, so little was compared")
	}
}

func FuzzRead(f *testing.F) {
	for _, message := range strange {
		f.Add([]byte(message))
	}
	b, err := proto.Marshal(typical())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		agree(t, b)
		if !bytes.Equal(b, before) {
			t.Fatal("the message was changed")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	message, err := proto.Marshal(typical())
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("scanner-%dB", len(message)), func(b *testing.B) {
		var r Request
		b.ReportAllocs()
		for b.Loop() {
			r.Reset()
			if err := r.Read(message); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(message, &authv3.CheckRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
