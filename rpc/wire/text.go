package wire

import (
	"bytes"
	"unicode/utf8"
)

// plain marks the bytes of character data that stand for themselves.
var plain = func() (t [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		t[c] = true
	}
	t['\t'], t['\n'] = true, true
	t['<'], t['&'], t[']'] = false, false, false
	return t
}()

// characterData reads character data up to the next tag: text, references,
// CDATA sections, and comments, which are not part of it. There may be none.
func (s *scanner) characterData() (span, bool) {
	start := s.pos
	if s.empty {
		return span{}, true
	}
	i := start
	for i < len(s.src) && plain[s.src[i]] {
		i++
	}
	if i+1 < len(s.src) && s.src[i] == '<' && s.src[i+1] != '!' && s.src[i+1] != '?' {
		s.pos = i
		if i > start && !s.count() {
			return span{}, false
		}
		return span{off: int32(start), end: int32(i)}, true
	}
	return s.decode(start, i)
}

// decode is characterData where not everything is plain: src[start:i] is.
// What has to be changed goes to s.text, and then all that is around it.
func (s *scanner) decode(start, i int) (span, bool) {
	mark := len(s.text) // where the decoded text begins
	from := start       // src[from:i] is not copied yet
	copied := false
	flush := func(end int) {
		s.text = append(s.text, s.src[from:end]...)
		copied = true
	}
	for i < len(s.src) {
		switch c := s.src[i]; {
		case plain[c]:
			i++
		case c == '&':
			r, end := s.reference(i)
			if end == 0 {
				return span{}, false
			}
			flush(i)
			s.text = utf8.AppendRune(s.text, r)
			i, from = end, end
		case c == '\r':
			// Line ends become one line feed (XML 1.0, section 2.11).
			flush(i)
			i++
			if from = i; !s.has(i, "\n") {
				s.text = append(s.text, '\n')
			}
		case c == ']':
			if s.has(i, "]]>") {
				return span{}, s.fail(NotWellFormed, i, `"]]>" in character data`)
			}
			i++
		case c != '<':
			n := s.char(i)
			if n == 0 {
				return span{}, false
			}
			i += n
		case s.has(i, "<![CDATA["):
			flush(i)
			s.pos = i
			if !s.cdata() {
				return span{}, false
			}
			i, from = s.pos, s.pos
		case s.has(i, "<!--"), s.has(i, "<?"):
			flush(i)
			s.pos = i
			if c := s.src[i+1]; c == '!' && !s.comment() || c == '?' && !s.instruction() {
				return span{}, false
			}
			i, from = s.pos, s.pos
		default:
			// A tag, or what next will fault.
			s.pos = i
			if !s.count() {
				return span{}, false
			}
			if !copied {
				return span{off: int32(start), end: int32(i)}, true
			}
			flush(i)
			return span{off: int32(mark), end: int32(len(s.text)), decoded: true}, true
		}
	}
	return span{}, s.ended()
}

// cdata appends the CDATA section at pos to s.text (production 18).
func (s *scanner) cdata() bool {
	from := s.pos + len("<![CDATA[")
	n := bytes.Index(s.src[from:], []byte("]]>"))
	if n < 0 {
		return s.fail(NotWellFormed, s.pos, "a CDATA section without its end")
	}
	for i, end := from, from+n; i < end; {
		if s.src[i] == '\r' {
			s.text = append(s.text, '\n')
			if i++; s.src[i] == '\n' {
				i++
			}
			continue
		}
		size := s.char(i)
		if size == 0 {
			return false
		}
		s.text = append(s.text, s.src[i:i+size]...)
		i += size
	}
	s.pos = from + n + len("]]>")
	return s.count()
}

// reference reads the character or entity reference at offset i (production
// 67). It gives the character and the offset behind it, which is 0 after a
// fault.
func (s *scanner) reference(i int) (rune, int) {
	start := i
	i++
	if s.has(i, "#") {
		return s.characterReference(start)
	}
	end := s.name(i)
	if end == i || !s.has(end, ";") {
		s.unexpected(end, "in an entity reference")
		return 0, 0
	}
	var r rune
	switch string(s.src[i:end]) {
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "amp":
		r = '&'
	case "apos":
		r = '\''
	case "quot":
		r = '"'
	default:
		s.fail(NotWellFormed, start, "entity &%.40s; is not declared", s.src[i:end])
		return 0, 0
	}
	return r, end + 1
}

// characterReference reads the character reference at offset start
// (production 66).
func (s *scanner) characterReference(start int) (rune, int) {
	i, base := start+len("&#"), rune(10)
	if s.has(i, "x") {
		i, base = i+1, 16
	}
	var r rune
	digits := i
	for ; i < len(s.src); i++ {
		d := hexDigit(s.src[i])
		if d < 0 || d >= base {
			break
		}
		if r = r*base + d; r > utf8.MaxRune {
			r = utf8.MaxRune + 1 // out of range, however long it goes on
		}
	}
	if i == digits || !s.has(i, ";") {
		s.unexpected(i, "in a character reference")
		return 0, 0
	}
	if !isChar(r) {
		s.fail(InvalidCharacter, start, "XML cannot carry the character of reference %.20s", s.src[start:i+1])
		return 0, 0
	}
	return r, i + 1
}

func hexDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}
