package wire

import (
	"slices"
	"unicode/utf8"
)

// charset is the encoding that a document is in.
type charset uint8

const (
	utf8Charset charset = iota
	asciiCharset
	latin1Charset
	unknownCharset
)

// charsetNamed gives the charset for the name in an encoding declaration,
// which XML compares without regard to case.
func charsetNamed(name []byte) charset {
	var lower [16]byte
	if len(name) > len(lower) {
		return unknownCharset
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(name)]) {
	case "utf-8", "utf8":
		return utf8Charset
	case "us-ascii", "ascii":
		return asciiCharset
	case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1":
		return latin1Charset
	}
	return unknownCharset
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// looksUTF16 reports whether body begins like UTF-16, with a byte order mark
// or with "<" (XML 1.0, appendix F).
func looksUTF16(body []byte) bool {
	if len(body) < 2 {
		return false
	}
	switch string(body[:2]) {
	case "\xFE\xFF", "\xFF\xFE", "<\x00", "\x00<":
		return true
	}
	return false
}

// firstHigh gives the offset of the first byte outside ASCII, or -1.
func firstHigh(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return -1
}

// appendLatin1 appends ISO-8859-1 text to dst as UTF-8.
func appendLatin1(dst, text []byte) []byte {
	n := len(text)
	for _, c := range text {
		n += int(c >> 7) // two bytes for those outside ASCII
	}
	dst = slices.Grow(dst, n)
	for _, c := range text {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

// isChar reports whether XML 1.0 can carry r (production 2).
func isChar(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xD800:
		return true
	case r < 0xE000:
		return false
	}
	return r <= utf8.MaxRune && r != 0xFFFE && r != 0xFFFF
}

// isNameStart reports whether a name may start with r (production 4).
func isNameStart(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || r == ':'
	case r < 0x300:
		return r >= 0xC0 && r != 0xD7 && r != 0xF7
	case r < 0x2000:
		return r >= 0x370 && r != 0x37E
	}
	return r == 0x200C || r == 0x200D || 0x2070 <= r && r <= 0x218F || 0x2C00 <= r && r <= 0x2FEF ||
		0x3001 <= r && r <= 0xD7FF || 0xF900 <= r && r <= 0xFDCF || 0xFDF0 <= r && r <= 0xFFFD ||
		0x10000 <= r && r <= 0xEFFFF
}

// isNameChar reports whether a name may go on with r (production 4a).
func isNameChar(r rune) bool {
	return isNameStart(r) || '0' <= r && r <= '9' || r == '-' || r == '.' || r == 0xB7 ||
		0x300 <= r && r <= 0x36F || r == 0x203F || r == 0x2040
}

// asciiNameChar is isNameChar for the bytes of ASCII.
var asciiNameChar = func() (t [256]bool) {
	for c := range rune(utf8.RuneSelf) {
		t[c] = isNameChar(c)
	}
	return t
}()

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}
