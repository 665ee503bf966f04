package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// verdict is what a parser says of a document as XML.
type verdict string

const (
	good    verdict = "well-formed"
	bad     verdict = "not well-formed"
	unknown verdict = "not read to its end"
)

// judge gives this package's verdict. What is refused as XML-RPC only is good.
func judge(doc []byte) verdict {
	var d Document
	d.ParseCall(doc)
	switch {
	case d.fault == nil:
		return good
	case d.fault.Code == NotXMLRPC, d.fault.Code == UnsupportedEncoding:
		// A limit, a document type declaration, or not readable at all.
		return unknown
	}
	return bad
}

// expat asks Python's expat for its verdicts, all in one process.
func expat(t *testing.T, docs [][]byte) []verdict {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: nothing to compare with")
	}
	const script = `
import struct, sys, xml.parsers.expat
data = sys.stdin.buffer.read()
at = 0
out = bytearray()
while at < len(data):
    n, = struct.unpack_from(">I", data, at)
    parser = xml.parsers.expat.ParserCreate()
    try:
        parser.Parse(data[at+4:at+4+n], True)
        out += b"1"
    except Exception:
        out += b"0"
    at += 4 + n
sys.stdout.buffer.write(out)
`
	var stdin bytes.Buffer
	for _, doc := range docs {
		stdin.Write(binary.BigEndian.AppendUint32(nil, uint32(len(doc))))
		stdin.Write(doc)
	}
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = &stdin
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil || len(out) != len(docs) {
		t.Fatalf("python3 gave %d verdicts for %d documents: %v", len(out), len(docs), err)
	}
	verdicts := make([]verdict, len(docs))
	for i, c := range out {
		if verdicts[i] = bad; c == '1' {
			verdicts[i] = good
		}
	}
	return verdicts
}

// TestExpat changes documents at random and compares the verdicts. Most of the
// changes break a document, and many do not.
func TestExpat(t *testing.T) {
	seeds := []string{
		query,
		call("<string>a &lt; b &#65;&#x42; <![CDATA[<c>]]> é€😀</string>"),
		call("<!-- c --><struct><member><name>a</name><value/></member></struct>"),
		"\xEF\xBB\xBF<?xml version=\"1.0\" encoding='UTF-8' standalone='yes'?>\n" + call("x") + "<!-- - -->",
		`<?xml version="1.0" encoding="iso-8859-1"?>` + call("Z\xFCrich"),
		`<?xml version="1.0" encoding="us-ascii"?>` + call("Zurich"),
		`<?a b?><a b="1" c='&lt;&#65;"'><b/>x<c d = "e" />]]</a><?d?>`,
	}
	snippets := []string{
		"<", ">", "&", ";", "/", "!", "?", "'", `"`, "=", "]", "-", " ", "\n", "\r\n", "\t", "x", ":", ".", "1", "é", "€", "😀", "\uFFFD",
		"<a>", "</a>", "<a/>", "<a b='1'>", "<a b='1' b='2'/>", "<a\nb='&#x9;'/>", "<!--", "-->", "<!-- a -->", "<!---->", "--",
		"<![CDATA[", "]]>", "<![CDATA[a]]>", "]]", "<?", "?>", "<?a?>", "<?xml?>", "<?xml version='1.0'?>", "<?x y?>",
		"&lt;", "&amp;", "&apos;", "&quot;", "&gt;", "&nbsp;", "&#65;", "&#x41;", "&#0;", "&#xD800;", "&#xFFFE;", "&#x10FFFF;", "&#x110000;", "&#9;", "&#;", "&#x;",
		"\x00", "\x01", "\x0B", "\x7F", "\x80", "\xC0\x80", "\xED\xA0\x80", "\xEF\xBF\xBE", "\xEF\xBF\xBF", "\xF4\x90\x80\x80", "\xFF", "\xEF\xBB\xBF", "\uFEFF",
		"<value>", "</value>", "<!DOCTYPE a>", "<!ELEMENT a>",
	}
	random := rand.New(rand.NewPCG(20261123, 1))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	docs := make([][]byte, 0, 20_000)
	for _, seed := range seeds {
		docs = append(docs, []byte(seed))
	}
	for len(docs) < cap(docs) {
		doc := []byte(pick(seeds))
		for range 1 + random.IntN(2) {
			i := random.IntN(len(doc))
			if tag := bytes.IndexByte(doc[i:], '>'); tag >= 0 && random.IntN(3) > 0 {
				i += tag + 1 // where something may well stand
			}
			j := min(len(doc), i+1+random.IntN(8))
			switch random.IntN(8) {
			default: // insert
				doc = slices.Concat(doc[:i], []byte(pick(snippets)), doc[i:])
			case 0: // replace
				doc = slices.Concat(doc[:i], []byte(pick(snippets)), doc[j:])
			case 1: // cut out
				doc = slices.Concat(doc[:i], doc[j:])
			case 2: // double
				doc = slices.Concat(doc[:j], doc[i:])
			}
		}
		docs = append(docs, doc)
	}
	compareExpat(t, docs, 3000, 10_000)
}

// fourthEdition translates a document for expat, which has the names of the
// fourth edition of XML 1.0: characters that may start or be in a name in the
// fifth become ones that may in both. Nothing else depends on which they are.
func fourthEdition(doc []byte) []byte {
	if !utf8.Valid(doc) { // ISO-8859-1
		return doc
	}
	body, marked := bytes.CutPrefix(doc, byteOrderMark)
	body = bytes.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
		case isNameStart(r):
			return 'é'
		case isNameChar(r):
			return '·'
		}
		return r
	}, body)
	if marked {
		return slices.Concat(byteOrderMark, body)
	}
	return body
}

// TestNames tries the ends of the ranges of productions 4 and 4a.
func TestNames(t *testing.T) {
	for list, want := range map[string][2]bool{
		":AZ_azÀÖØöø\u02FFͰͽ\u037F\u1FFF\u200C\u200D\u2070\u218F\u2C00\u2FEF\u3001\uD7FF\uF900\uFDCF\uFDF0\uFFFD\U00010000\U000EFFFF": {true, true},
		"-.09\u00B7\u0300\u036F\u203F\u2040": {false, true},
		" !/;<>@[^`{\u007F\u0080\u00BF×÷\u037E\u2000\u200B\u200E\u203E\u2041\u206F\u2190\u2BFF\u2FF0\u3000\uE000\uF8FF\uFDD0\uFDEF\uFFFE\uFFFF\U000F0000\U0010FFFF": {false, false},
	} {
		for _, r := range list {
			if got := [2]bool{isNameStart(r), isNameChar(r)}; got != want {
				t.Errorf("U+%04X: starts and is in a name %v, want %v", r, got, want)
			}
		}
	}
}

// compareExpat compares the verdicts on docs, and wants so many of each kind.
func compareExpat(t *testing.T, docs [][]byte, wantGood, wantBad int) {
	t.Helper()
	agreed := map[verdict]int{}
	var disputed, translated [][]byte
	for i, theirs := range expat(t, docs) {
		switch ours := judge(docs[i]); {
		case ours == unknown:
		case ours == theirs:
			agreed[ours]++
		case ours == good:
			disputed = append(disputed, docs[i])
			translated = append(translated, fourthEdition(docs[i]))
		case bytes.Contains(docs[i], []byte("<?xml")) && strings.Contains(new(Document).ParseCall(docs[i]).Error(), "has no version"):
			// Expat takes any version.
		default:
			t.Errorf("expat says %s, we say %v: %q", theirs, new(Document).ParseCall(docs[i]), docs[i])
		}
	}
	for i, theirs := range expat(t, translated) {
		if theirs != good {
			t.Errorf("expat says %s, we say %s: %q", theirs, good, disputed[i])
		}
	}
	t.Logf("agreed on %v of %d documents", agreed, len(docs))
	if agreed[good] < wantGood || agreed[bad] < wantBad {
		t.Errorf("agreed on %v of %d documents: too few to mean something", agreed, len(docs))
	}
}

// withoutDoctype cuts the document type declaration out of doc, and gives
// false when doc has none.
func withoutDoctype(doc []byte) ([]byte, bool) {
	start := bytes.Index(doc, []byte("<!DOCTYPE"))
	if start < 0 {
		return doc, false
	}
	subset := false
	for i := start; i < len(doc); i++ {
		skip := func(end string) {
			if n := bytes.Index(doc[i+1:], []byte(end)); n >= 0 {
				i += n + len(end)
			}
		}
		switch rest := doc[i:]; {
		case bytes.HasPrefix(rest, []byte("<!--")):
			skip("-->")
		case bytes.HasPrefix(rest, []byte("<?")):
			skip("?>")
		case rest[0] == '"', rest[0] == '\'':
			skip(string(rest[:1]))
		case rest[0] == '[':
			subset = true
		case rest[0] == ']':
			subset = false
		case rest[0] == '>' && !subset:
			return append(doc[:start:start], doc[i+1:]...), true
		}
	}
	return doc[:start], true
}

// w3c is one document of the W3C's conformance suite.
type w3c struct {
	kind, id, path string
	doc            []byte
}

// readW3C reads the suite, which is not part of the project and lies beside it
// where there is room for it.
func readW3C(t *testing.T) []w3c {
	t.Helper()
	const archive = "../../../shared/data/w3c-xmlconf.tar.xz"
	if _, err := os.Stat(archive); err != nil {
		t.Skip("the W3C suite is not there: ", err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xJf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("couldn't unpack the W3C suite: %v: %s", err, out)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var suite []w3c
	for line := range strings.Lines(string(index)) {
		field := strings.Split(strings.TrimSpace(line), "\t")
		doc, err := os.ReadFile(filepath.Join(dir, field[2]))
		if err != nil {
			t.Fatal(err)
		}
		suite = append(suite, w3c{kind: field[0], id: field[1], path: field[2], doc: doc})
	}
	return suite
}

// TestW3C checks the verdicts that the suite gives itself. Of its documents
// that are not well-formed none may pass as well-formed, with two exceptions by
// rule: those that break only "Namespaces in XML", which XML-RPC does not use,
// and those whose names are of the fifth edition of XML 1.0.
func TestW3C(t *testing.T) {
	fifthEdition := []string{"rmt-016", "rmt-019"}
	count := map[string]int{}
	for _, c := range readW3C(t) {
		ours := judge(c.doc)
		err := new(Document).ParseCall(c.doc)
		if err == nil {
			t.Errorf("%s is no XML-RPC and was accepted: %q", c.id, c.doc)
		}
		count[fmt.Sprintf("%s: %s", c.kind, ours)]++
		switch c.kind {
		case "not-wf":
			if ours == good && !strings.HasPrefix(c.path, "eduni/namespaces/") && !slices.Contains(fifthEdition, c.id) {
				t.Errorf("%s is not well-formed and passed as well-formed: %q", c.id, c.doc)
			}
		case "valid", "invalid": // both are well-formed
			if ours == bad && !strings.Contains(err.Error(), "has no version") {
				t.Errorf("%s is %s and was refused as %v: %q", c.id, c.kind, err, c.doc)
			}
		}
	}
	t.Log(count)
	if count["not-wf: not well-formed"] < 390 {
		t.Errorf("too few documents to mean something: %v", count)
	}
}

// TestW3CExpat takes the document type declarations out of the suite's
// documents, which hide most of it from this package, and compares the verdicts
// on what is left, as it is and inside a call.
func TestW3CExpat(t *testing.T) {
	var docs [][]byte
	for _, c := range readW3C(t) {
		doc, cut := withoutDoctype(c.doc)
		if cut {
			docs = append(docs, doc)
		}
		if end := bytes.Index(doc, []byte("?>")); bytes.HasPrefix(doc, []byte("<?xml ")) && end > 0 {
			doc = doc[end+2:]
		}
		docs = append(docs, []byte(call("<string>"+string(doc)+"</string>")))
	}
	compareExpat(t, docs, 1000, 500)
}
