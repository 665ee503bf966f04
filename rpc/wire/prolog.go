package wire

import "bytes"

// start makes the scanner ready for body, up to the root element: it settles
// the encoding, reads the XML declaration, and skips what may precede the root.
func (s *scanner) start(body []byte) bool {
	s.src, s.pos, s.tag = body, 0, 0
	s.text = s.text[:0]
	s.depth, s.tokens, s.empty, s.recoded = 0, 0, false, false
	s.fault, s.refusal = nil, nil

	if len(body) > MaxBody {
		return s.fail(NotXMLRPC, MaxBody, "the body is over the limit of %d bytes", MaxBody)
	}
	marked := bytes.HasPrefix(body, byteOrderMark)
	if marked {
		s.pos = len(byteOrderMark)
	} else if looksUTF16(body) {
		return s.fail(UnsupportedEncoding, 0, "UTF-16 is not supported, only UTF-8, US-ASCII and ISO-8859-1")
	}
	encoding := utf8Charset
	if s.has(s.pos, "<?xml") && s.pos+5 < len(body) && isSpace(body[s.pos+5]) {
		var ok bool
		if encoding, ok = s.declaration(); !ok {
			return false
		}
	}
	if marked && encoding != utf8Charset {
		return s.fail(UnsupportedEncoding, 0, "the byte order mark says UTF-8, the XML declaration another encoding")
	}
	if encoding != utf8Charset {
		if high := firstHigh(body); high >= 0 {
			if encoding == asciiCharset {
				return s.fail(InvalidCharacter, high, "the byte 0x%02X is not US-ASCII", body[high])
			}
			s.latin = appendLatin1(s.latin[:0], body)
			s.src, s.recoded = s.latin, true
		}
	}
	return s.prolog()
}

// usualDeclaration is the declaration that most clients send, byte for byte.
const usualDeclaration = `<?xml version="1.0"?>`

// declaration reads the XML declaration (production 23) and gives the encoding
// that it names.
func (s *scanner) declaration() (charset, bool) {
	if s.has(s.pos, usualDeclaration) {
		s.pos += len(usualDeclaration)
		return utf8Charset, true
	}
	s.pos += len("<?xml")
	version, at, ok := s.pseudoAttribute("version")
	if !ok {
		return 0, false
	}
	if string(version) != "1.0" {
		return 0, s.fail(NotWellFormed, at, `the XML declaration has no version "1.0"`)
	}
	encoding := utf8Charset
	name, at, ok := s.pseudoAttribute("encoding")
	if !ok {
		return 0, false
	}
	if name != nil {
		if !isEncodingName(name) {
			return 0, s.fail(NotWellFormed, at, "bad encoding name")
		}
		if encoding = charsetNamed(name); encoding == unknownCharset {
			return 0, s.fail(UnsupportedEncoding, at, "encoding %.40q is not supported, only UTF-8, US-ASCII and ISO-8859-1", name)
		}
	}
	standalone, at, ok := s.pseudoAttribute("standalone")
	if !ok {
		return 0, false
	}
	if standalone != nil && string(standalone) != "yes" && string(standalone) != "no" {
		return 0, s.fail(NotWellFormed, at, "standalone is yes or no")
	}
	end := s.skipSpace(s.pos)
	if !s.has(end, "?>") {
		return 0, s.unexpected(end, "in the XML declaration")
	}
	s.pos = end + len("?>")
	return encoding, true
}

// pseudoAttribute reads white space, name, an equals sign and a quoted value;
// the value is nil, and nothing is read, where another name stands.
func (s *scanner) pseudoAttribute(name string) (value []byte, at int, ok bool) {
	i := s.skipSpace(s.pos)
	if i == s.pos || !s.has(i, name) {
		return nil, i, true
	}
	i = s.skipSpace(i + len(name))
	if !s.has(i, "=") {
		return nil, i, s.unexpected(i, "in the XML declaration")
	}
	i = s.skipSpace(i + 1)
	if i == len(s.src) || s.src[i] != '"' && s.src[i] != '\'' {
		return nil, i, s.unexpected(i, "in the XML declaration")
	}
	n := bytes.IndexByte(s.src[i+1:], s.src[i])
	if n < 0 {
		return nil, i, s.fail(NotWellFormed, i, "a quote without its end in the XML declaration")
	}
	s.pos = i + n + 2
	return s.src[i+1 : i+1+n], i + 1, true
}

// isEncodingName is production 81.
func isEncodingName(b []byte) bool {
	for i, c := range b {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')) {
			return false
		}
	}
	return len(b) > 0
}

// prolog reads up to the root element's start tag.
func (s *scanner) prolog() bool {
	if !s.misc() {
		return false
	}
	switch {
	case s.pos == len(s.src):
		return s.fail(NotWellFormed, s.pos, "no root element")
	case s.has(s.pos, "<!DOCTYPE"):
		// What follows depends on a grammar that is not read here, so that
		// nobody can say whether it is well-formed.
		return s.fail(NotXMLRPC, s.pos, "a document type declaration is refused")
	case s.src[s.pos] != '<':
		return s.unexpected(s.pos, "before the root element")
	case s.has(s.pos, "<!"):
		return s.fail(NotWellFormed, s.pos, "markup declaration outside a document type")
	}
	return true
}

// epilog reads from the root element's end to the end of the document.
func (s *scanner) epilog() bool {
	if !s.misc() {
		return false
	}
	if s.pos < len(s.src) {
		return s.unexpected(s.pos, "after the root element")
	}
	return true
}

// misc skips white space, comments and processing instructions outside the
// root element (production 27).
func (s *scanner) misc() bool {
	for {
		s.pos = s.skipSpace(s.pos)
		var ok bool
		switch {
		case s.has(s.pos, "<!--"):
			ok = s.comment()
		case s.has(s.pos, "<?"):
			ok = s.instruction()
		default:
			return true
		}
		if !ok {
			return false
		}
	}
}
