package wire

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// span is a piece of the source or, when XML had to be decoded for it, of the
// scanner's text buffer.
type span struct {
	off, end int32
	decoded  bool
}

func (p span) len() int { return int(p.end - p.off) }

// scanner reads a document's bytes as XML 1.0 and keeps what well-formedness
// needs: where it is and which elements are open.
//
// It ends in one of three ways. A fault stops the scan where it stands. A
// refusal notes the first thing that is XML but not XML-RPC; the rest is
// still read, because a document that is not well-formed is faulted as that.
// With neither, the document was read to its end.
type scanner struct {
	src  []byte
	pos  int
	tag  int    // where the last tag that next read begins
	text []byte // decoded character data

	open   [maxOpen]span // names of the open elements, in src
	depth  int
	empty  bool // the last start tag was an empty-element tag: its end comes next
	tokens int

	latin   []byte // src's memory when recoded
	recoded bool   // src is the body recoded from ISO-8859-1

	fault, refusal *Fault
}

// bytes gives what p stands for.
func (s *scanner) bytes(p span) []byte {
	if p.decoded {
		return s.text[p.off:p.end:p.end]
	}
	return s.src[p.off:p.end:p.end]
}

// fail ends the scan with a fault at offset i of src. It gives false, as do
// all the functions here that find a fault. (Inlined, fail and refuse would
// widen the frames of all their callers, which costs a quarter of a parse.)
//
//go:noinline
func (s *scanner) fail(code, i int, format string, args ...any) bool {
	if s.fault == nil {
		s.fault = s.newFault(code, i, format, args)
	}
	return false
}

// refuse notes what is well-formed but not XML-RPC. It gives false.
//
//go:noinline
func (s *scanner) refuse(i int, format string, args ...any) bool {
	if s.refusal == nil {
		s.refusal = s.newFault(NotXMLRPC, i, format, args)
	}
	return false
}

func (s *scanner) newFault(code, i int, format string, args []any) *Fault {
	if s.recoded {
		i = utf8.RuneCount(s.src[:i]) // one byte of the body each
	}
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...) + fmt.Sprintf(" at byte %d", i)}
}

// unexpected faults the character at offset i: it may be none at all.
func (s *scanner) unexpected(i int, where string) bool {
	if i >= len(s.src) {
		return s.fail(NotWellFormed, len(s.src), "the document ends %s", where)
	}
	n := s.char(i)
	if n == 0 {
		return false
	}
	return s.fail(NotWellFormed, i, "unexpected %q %s", s.src[i:i+n], where)
}

// count counts a token.
func (s *scanner) count() bool {
	s.tokens++
	return s.tokens <= MaxTokens || s.tooMany()
}

func (s *scanner) tooMany() bool {
	return s.fail(NotXMLRPC, s.pos, "more than %d tokens", MaxTokens)
}

// has reports whether src has token at offset i.
func (s *scanner) has(i int, token string) bool {
	return len(s.src)-i >= len(token) && string(s.src[i:i+len(token)]) == token
}

func (s *scanner) skipSpace(i int) int {
	for i < len(s.src) && isSpace(s.src[i]) {
		i++
	}
	return i
}

// char gives the length of the character at offset i, or faults it and gives
// 0.
func (s *scanner) char(i int) int {
	if c := s.src[i]; c < utf8.RuneSelf {
		if c < ' ' && !isSpace(c) {
			s.fail(InvalidCharacter, i, "XML cannot carry the character U+%04X", c)
			return 0
		}
		return 1
	}
	r, n := utf8.DecodeRune(s.src[i:])
	if r == utf8.RuneError && n == 1 {
		s.fail(InvalidCharacter, i, "the byte 0x%02X is not UTF-8", s.src[i])
		return 0
	}
	if !isChar(r) {
		s.fail(InvalidCharacter, i, "XML cannot carry the character U+%04X", r)
		return 0
	}
	return n
}

// name gives the end of the name at offset i, which is i when there is none.
func (s *scanner) name(i int) int {
	start := i
	for i < len(s.src) && asciiNameChar[s.src[i]] {
		i++
	}
	if i > start && !isNameStart(rune(s.src[start])) {
		return start
	}
	for i < len(s.src) && (s.src[i] >= utf8.RuneSelf || asciiNameChar[s.src[i]]) {
		r, n := utf8.DecodeRune(s.src[i:])
		if r == utf8.RuneError && n == 1 || !isNameChar(r) || i == start && !isNameStart(r) {
			break
		}
		i += n
	}
	return i
}

// next reads the next tag where only tags, white space and comments may
// stand. Character data is refused and left unread.
func (s *scanner) next() element {
	for {
		if s.empty {
			return s.close()
		}
		i := s.pos
		for i < len(s.src) && isSpace(s.src[i]) {
			i++
		}
		s.pos, s.tag = i, i
		if i+1 >= len(s.src) {
			s.ended()
			return noTag
		}
		if s.src[i] != '<' {
			s.refuse(i, "character data where only elements may stand")
			return noTag
		}
		switch s.src[i+1] {
		case '/':
			return s.endTag()
		case '?':
			if !s.instruction() {
				return noTag
			}
		case '!':
			switch {
			case s.has(i, "<!--"):
				if !s.comment() {
					return noTag
				}
			case s.has(i, "<![CDATA["):
				s.refuse(i, "character data where only elements may stand")
				return noTag
			default:
				s.fail(NotWellFormed, i, "markup declaration inside an element")
				return noTag
			}
		default:
			return s.startTag()
		}
	}
}

// ended faults a document that stops inside its root element.
func (s *scanner) ended() bool {
	if s.depth == 0 {
		return s.fail(NotWellFormed, len(s.src), "the document ends before the root element")
	}
	return s.fail(NotWellFormed, len(s.src), "the document ends inside <%.40s>", s.bytes(s.open[s.depth-1]))
}

// push opens the element whose name is src[off:end].
func (s *scanner) push(off, end int) bool {
	if s.depth == maxOpen {
		return s.fail(NotXMLRPC, off-1, "elements nest deeper than %d values can", MaxDepth)
	}
	s.open[s.depth] = span{off: int32(off), end: int32(end)}
	s.depth++
	return s.count()
}

// close ends the innermost open element.
func (s *scanner) close() element {
	s.empty = false
	s.depth--
	if !s.count() {
		return noTag
	}
	return endTag
}

// endTag reads the end tag at pos (production 42).
func (s *scanner) endTag() element {
	if s.depth == 0 {
		s.fail(NotWellFormed, s.pos, "an end tag before the root element")
		return noTag
	}
	open := s.open[s.depth-1]
	i := s.pos + len("</")
	end := i + open.len()
	if end >= len(s.src) || string(s.src[i:end]) != string(s.src[open.off:open.end]) {
		return s.wrongEndTag()
	}
	if s.src[end] != '>' {
		if isNameChar(rune(s.src[end])) || s.src[end] >= utf8.RuneSelf {
			return s.wrongEndTag()
		}
		if end = s.skipSpace(end); end == len(s.src) || s.src[end] != '>' {
			s.unexpected(end, "in an end tag")
			return noTag
		}
	}
	s.pos = end + 1
	return s.close()
}

func (s *scanner) wrongEndTag() element {
	i := s.pos + len("</")
	end := s.name(i)
	if end == i || end == len(s.src) {
		s.unexpected(end, "in an end tag")
		return noTag
	}
	s.fail(NotWellFormed, s.pos, "end tag </%.40s> where <%.40s> is open", s.src[i:end], s.bytes(s.open[s.depth-1]))
	return noTag
}

// startTag reads the start tag or empty-element tag at pos (productions 40
// and 44).
func (s *scanner) startTag() element {
	off := s.pos + 1
	end := s.name(off)
	if end == off {
		s.unexpected(off, "where a tag's name should start")
		return noTag
	}
	if !s.push(off, end) {
		return noTag
	}
	if end < len(s.src) && s.src[end] == '>' {
		s.pos = end + 1
	} else if !s.attributes(end) {
		return noTag
	}
	return elementNamed(s.src[off:end])
}

// attributes reads from the name of a start tag, which ends at i, to the end
// of the tag. It refuses attributes, except for the namespace declaration that
// clients with the prefix ex: put on the root element.
func (s *scanner) attributes(i int) bool {
	var names [maxAttributes][]byte
	for n := 0; ; n++ {
		at := s.skipSpace(i)
		switch {
		case s.has(at, ">"):
			s.pos = at + 1
			return true
		case s.has(at, "/>"):
			s.pos = at + 2
			s.empty = true
			return true
		case at == i || at == len(s.src):
			return s.unexpected(at, "in a start tag")
		case n == maxAttributes:
			return s.fail(NotXMLRPC, at, "more than %d attributes", maxAttributes)
		}
		end := s.name(at)
		if end == at {
			return s.unexpected(at, "where an attribute's name should start")
		}
		names[n] = s.src[at:end]
		for _, other := range names[:n] {
			if bytes.Equal(other, names[n]) {
				return s.fail(NotWellFormed, at, "attribute %.40s stands twice", names[n])
			}
		}
		value, ok := s.attributeValue(end)
		if !ok {
			return false
		}
		if i = s.pos; s.depth > 1 || string(names[n]) != "xmlns:ex" || string(value) != apacheExtensions {
			s.refuse(at, "attribute %.40s: XML-RPC has no attributes", names[n])
		}
	}
}

// attributeValue reads an equals sign and a quoted value (production 10) and
// gives the value as it is written.
func (s *scanner) attributeValue(i int) ([]byte, bool) {
	i = s.skipSpace(i)
	if !s.has(i, "=") {
		return nil, s.unexpected(i, "after an attribute's name")
	}
	i = s.skipSpace(i + 1)
	if !s.has(i, `"`) && !s.has(i, `'`) {
		return nil, s.unexpected(i, "where an attribute's quoted value should start")
	}
	quote, start := s.src[i], i+1
	for i = start; i < len(s.src); {
		switch s.src[i] {
		case quote:
			s.pos = i + 1
			return s.src[start:i], true
		case '<':
			return nil, s.unexpected(i, "in an attribute's value")
		case '&':
			if _, i = s.reference(i); i == 0 {
				return nil, false
			}
		default:
			n := s.char(i)
			if n == 0 {
				return nil, false
			}
			i += n
		}
	}
	return nil, s.unexpected(i, "in an attribute's value")
}

// comment skips the comment at pos (production 15).
func (s *scanner) comment() bool {
	start := s.pos
	for i := start + len("<!--"); i < len(s.src); {
		if s.has(i, "--") {
			if !s.has(i, "-->") {
				return s.fail(NotWellFormed, i, `"--" inside a comment`)
			}
			s.pos = i + len("-->")
			return s.count()
		}
		n := s.char(i)
		if n == 0 {
			return false
		}
		i += n
	}
	return s.fail(NotWellFormed, start, "a comment without its end")
}

// instruction reads the processing instruction at pos (production 16) and
// refuses it.
func (s *scanner) instruction() bool {
	start := s.pos
	off := start + len("<?")
	end := s.name(off)
	if end == off {
		return s.unexpected(off, "where a processing instruction's target should start")
	}
	if bytes.EqualFold(s.src[off:end], []byte("xml")) {
		return s.fail(NotWellFormed, start, "an XML declaration that is not at the document's start")
	}
	if !s.has(end, "?>") && s.skipSpace(end) == end {
		return s.unexpected(end, "after a processing instruction's target")
	}
	for i := end; i < len(s.src); {
		if s.has(i, "?>") {
			s.refuse(start, "a processing instruction is refused")
			s.pos = i + len("?>")
			return s.count()
		}
		n := s.char(i)
		if n == 0 {
			return false
		}
		i += n
	}
	return s.fail(NotWellFormed, start, "a processing instruction without its end")
}
