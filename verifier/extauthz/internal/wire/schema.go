package wire

// The schema is what of the messages of CheckRequest must be known to read it, and to refuse
// whatever the generated code would refuse. A test compares it with the descriptors.

// message is a type of message: its fields of wire type 2, by number. All others are numbers,
// which need no more than to be skipped.
type message []field

type field struct {
	kind kind
	keep keep
	// of is the message of a messageField, and the value of a mapField's entries; nil there: a
	// string.
	of *message
}

type kind uint8

const (
	none         kind = iota
	stringField       // must be UTF-8
	bytesField        //
	messageField      //
	mapField          // of string keys
)

// keep says what is to be kept of a field.
type keep uint8

const (
	nothing keep = iota
	keepSource
	keepNoSource // another kind of address takes the place of the socket's
	keepID
	keepPath
	keepHeader    // an entry of the map
	keepRawHeader // the message
	keepRawName
	keepRawText
	keepRawValue
	keepExtension
)

var (
	checkRequest = message{1: {kind: messageField, of: &attributeContext}}

	attributeContext = message{
		1:  {kind: messageField, of: &source},
		2:  {kind: messageField, of: &peer},
		4:  {kind: messageField, of: &request},
		10: {kind: mapField, keep: keepExtension},
		11: {kind: messageField, of: &metadata},
		12: {kind: messageField, of: &tlsSession},
		13: {kind: messageField, of: &metadata},
	}

	source = peerAt(&message{
		1: {kind: messageField, of: &message{
			2: {kind: stringField, keep: keepSource},
			4: {kind: stringField},
			5: {kind: stringField},
			7: {kind: stringField},
		}},
		2: {kind: messageField, keep: keepNoSource, of: &pipe},
		3: {kind: messageField, keep: keepNoSource, of: &internalAddress},
	})
	peer = peerAt(&message{
		1: {kind: messageField, of: &message{2: {kind: stringField}, 4: {kind: stringField}, 5: {kind: stringField}, 7: {kind: stringField}}},
		2: {kind: messageField, of: &pipe},
		3: {kind: messageField, of: &internalAddress},
	})
	pipe            = message{1: {kind: stringField}}
	internalAddress = message{1: {kind: stringField}, 2: {kind: stringField}}

	request = message{
		1: {kind: messageField, of: &message{}}, // a Timestamp
		2: {kind: messageField, of: &httpRequest},
	}
	httpRequest = message{
		1:  {kind: stringField, keep: keepID},
		2:  {kind: stringField},
		3:  {kind: mapField, keep: keepHeader},
		4:  {kind: stringField, keep: keepPath},
		5:  {kind: stringField},
		6:  {kind: stringField},
		7:  {kind: stringField},
		8:  {kind: stringField},
		10: {kind: stringField},
		11: {kind: stringField},
		12: {kind: bytesField},
		13: {kind: messageField, of: &message{1: {kind: messageField, keep: keepRawHeader, of: &headerValue}}},
	}
	headerValue = message{
		1: {kind: stringField, keep: keepRawName},
		2: {kind: stringField, keep: keepRawText},
		3: {kind: bytesField, keep: keepRawValue},
	}
	tlsSession = message{1: {kind: stringField}}
	metadata   = message{
		1: {kind: mapField, of: &structure},
		2: {kind: mapField, of: &message{1: {kind: stringField}, 2: {kind: bytesField}}}, // an Any
	}

	// A Struct holds Values, which hold Structs: their fields are set by init.
	structure = make(message, 2)
	value     = make(message, 7)
)

func init() {
	structure[1] = field{kind: mapField, of: &value}
	value[3] = field{kind: stringField}
	value[5] = field{kind: messageField, of: &structure}
	value[6] = field{kind: messageField, of: &message{1: {kind: messageField, of: &value}}} // a ListValue
}

func peerAt(address *message) message {
	return message{
		1: {kind: messageField, of: address},
		2: {kind: stringField},
		3: {kind: mapField},
		4: {kind: stringField},
		5: {kind: stringField},
	}
}
