package wire

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Response is a CheckResponse that is being written. It only ever grows at its end, so parts of
// the message are written in the order of the calls: of what is begun, what was begun last is
// ended first.
type Response struct {
	// Bytes are the message. A value is written by appending to them, after its Begin.
	Bytes []byte

	begun [maxDepth]int
	depth int
}

// maxDepth is how deep messages are nested: a limit in the limits in our metadata in all
// metadata, each an entry with a value.
const maxDepth = 16

// Numbers of fields.
const (
	statusField         protowire.Number = 1 // of CheckResponse
	deniedResponseField protowire.Number = 2
	okResponseField     protowire.Number = 3
	metadataField       protowire.Number = 4

	codeField    protowire.Number = 1 // of google.rpc.Status
	messageText  protowire.Number = 2
	httpCode     protowire.Number = 1 // of HttpStatus
	deniedStatus protowire.Number = 1 // of DeniedHttpResponse
	deniedBody   protowire.Number = 3

	removedParameters protowire.Number = 8 // of OkHttpResponse

	headerField  protowire.Number = 1 // of HeaderValueOption
	appendAction protowire.Number = 3
	headerKey    protowire.Number = 1 // of HeaderValue
	headerText   protowire.Number = 2

	fieldsField protowire.Number = 1 // of Struct
	entryName   protowire.Number = 1 // of an entry of a map
	entryValue  protowire.Number = 2
	numberValue protowire.Number = 2 // of Value
	stringValue protowire.Number = 3
	structValue protowire.Number = 5
	listValue   protowire.Number = 6
	valuesField protowire.Number = 1 // of ListValue

	overwriteIfExistsOrAdd = 2 // of HeaderValueOption.HeaderAppendAction
)

// List is a list of headers, or of names of headers.
type List protowire.Number

// The lists.
const (
	ClientHeaders   List = 2 // in what is denied: headers to the client
	UpstreamHeaders List = 2 // in what is allowed: headers to the service
	RemovedHeaders  List = 5 // in what is allowed: those that the service is not to see
	ResponseHeaders List = 6 // in what is allowed: headers to the client
)

// Begin begins a field that holds whatever is appended until End.
func (r *Response) Begin(field protowire.Number) {
	r.Bytes = append(protowire.AppendTag(r.Bytes, field, protowire.BytesType), 0)
	r.begun[r.depth] = len(r.Bytes)
	r.depth++
}

// End ends what was begun last, and writes its length before it.
func (r *Response) End() {
	r.depth--
	start := r.begun[r.depth]
	length := len(r.Bytes) - start
	if more := protowire.SizeVarint(uint64(length)) - 1; more > 0 {
		// One byte was left for the length, which is enough for most.
		for range more {
			r.Bytes = append(r.Bytes, 0)
		}
		copy(r.Bytes[start+more:], r.Bytes[start:start+length])
	}
	protowire.AppendVarint(r.Bytes[:start-1], uint64(length))
}

func (r *Response) text(field protowire.Number, text string) {
	r.Bytes = protowire.AppendString(protowire.AppendTag(r.Bytes, field, protowire.BytesType), text)
}

func (r *Response) varint(field protowire.Number, n uint64) {
	r.Bytes = protowire.AppendVarint(protowire.AppendTag(r.Bytes, field, protowire.VarintType), n)
}

// Status writes what was decided, as a code of gRPC.
func (r *Response) Status(code uint32, message string) {
	r.Begin(statusField)
	if code != 0 {
		r.varint(codeField, uint64(code))
		r.text(messageText, message)
	}
	r.End()
}

// BeginOK begins what is to be done to a request that may pass.
func (r *Response) BeginOK() { r.Begin(okResponseField) }

// BeginDenied begins what the client is told instead, with an HTTP status.
func (r *Response) BeginDenied(status int) {
	r.Begin(deniedResponseField)
	r.Begin(deniedStatus)
	r.varint(httpCode, uint64(status))
	r.End()
}

// BeginBody begins the body for the client.
func (r *Response) BeginBody() { r.Begin(deniedBody) }

// Header writes a header, which takes the place of all there are of that name; nothing where the
// value is empty. The name must be shorter than 128 bytes.
func (r *Response) Header(list List, name string, value []byte) {
	if len(value) == 0 {
		return
	}
	// All lengths are known beforehand, so that nothing has to be moved for them.
	header := 2 + len(name) + 1 + protowire.SizeBytes(len(value))
	option := 2 + 1 + protowire.SizeBytes(header)
	b := protowire.AppendTag(r.Bytes, protowire.Number(list), protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(option))
	b = append(b, byte(appendAction<<3)|byte(protowire.VarintType), overwriteIfExistsOrAdd, byte(headerField<<3)|byte(protowire.BytesType))
	b = protowire.AppendVarint(b, uint64(header))
	b = append(b, byte(headerKey<<3)|byte(protowire.BytesType), byte(len(name)))
	b = append(b, name...)
	b = append(b, byte(headerText<<3)|byte(protowire.BytesType))
	b = protowire.AppendVarint(b, uint64(len(value)))
	r.Bytes = append(b, value...)
}

// Remove names a header that the service is not to see.
func (r *Response) Remove(name string) { r.text(protowire.Number(RemovedHeaders), name) }

// RemoveParameter names a parameter of the query that the service is not to see.
func (r *Response) RemoveParameter(name string) { r.text(removedParameters, name) }

// BeginMetadata begins metadata for other filters and for the log of Envoy, and in it a struct.
func (r *Response) BeginMetadata(name string) {
	r.Begin(metadataField)
	r.BeginStruct(name)
}

// EndMetadata ends both.
func (r *Response) EndMetadata() {
	r.EndStruct()
	r.End()
}

func (r *Response) beginEntry(name string) {
	r.Begin(fieldsField)
	r.text(entryName, name)
	r.Begin(entryValue)
}

func (r *Response) endEntry() {
	r.End()
	r.End()
}

// BeginStruct begins a struct in a struct.
func (r *Response) BeginStruct(name string) {
	r.beginEntry(name)
	r.Begin(structValue)
}

// EndStruct ends it.
func (r *Response) EndStruct() {
	r.End()
	r.endEntry()
}

// Text writes a text into a struct, unless it is empty.
func (r *Response) Text(name, value string) {
	if value == "" {
		return
	}
	text := 1 + protowire.SizeBytes(len(value))
	entry := 1 + protowire.SizeBytes(len(name)) + 1 + protowire.SizeBytes(text)
	r.Bytes = protowire.AppendTag(r.Bytes, fieldsField, protowire.BytesType)
	r.Bytes = protowire.AppendVarint(r.Bytes, uint64(entry))
	r.text(entryName, name)
	r.Bytes = protowire.AppendTag(r.Bytes, entryValue, protowire.BytesType)
	r.Bytes = protowire.AppendVarint(r.Bytes, uint64(text))
	r.text(stringValue, value)
}

// BeginText begins a text in a struct.
func (r *Response) BeginText(name string) {
	r.beginEntry(name)
	r.Begin(stringValue)
}

// EndText ends it.
func (r *Response) EndText() {
	r.End()
	r.endEntry()
}

// Texts writes a list of texts into a struct, unless it is empty.
func (r *Response) Texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	r.beginEntry(name)
	r.Begin(listValue)
	for _, value := range values {
		r.Begin(valuesField)
		r.text(stringValue, value)
		r.End()
	}
	r.End()
	r.endEntry()
}

// Number writes a number into a struct. The precision is that of a float64, as in JSON.
func (r *Response) Number(name string, n int64) {
	r.beginEntry(name)
	r.Bytes = protowire.AppendTag(r.Bytes, numberValue, protowire.Fixed64Type)
	r.Bytes = protowire.AppendFixed64(r.Bytes, math.Float64bits(float64(n)))
	r.endEntry()
}
