package wire

// Limits on a body. They bound the work and the memory that one document can
// cost, whatever its sender intends: a parse never holds more than 1 MiB.
const (
	// MaxBody is the length of a body, in bytes as received.
	MaxBody = 64 << 10
	// MaxDepth is how deep values nest: a parameter has depth 1, a member of
	// it depth 2.
	MaxDepth = 32
	// MaxTokens is how many tokens a document has. A start tag, an end tag, a
	// run of character data and a comment are one each; an empty-element tag is
	// two.
	MaxTokens = 10_000
	// MaxMembers is how many members one struct has.
	MaxMembers = 256
	// MaxString is the length of one text, in bytes of UTF-8: of a string, a
	// name or a number, and of base64 as it is encoded.
	MaxString = 4 << 10
)

// maxOpen is how deep elements nest in the deepest document that MaxDepth
// allows: methodCall, params and param, and at every depth value, struct and
// member (or value, array and data). There is room for one more, so that the
// value that is too deep is seen to be one.
const maxOpen = 3 + 3*MaxDepth + 1

// maxAttributes bounds the attributes that are read only to find out whether
// a document that is refused anyway is well-formed.
const maxAttributes = 16
