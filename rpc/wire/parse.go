package wire

import "bytes"

// node is one value. The nodes of a document stand in document order, each
// before those inside it; the first is an array of the parameters.
type node struct {
	kind Kind
	name span   // of a member
	text span   // of a string, a date, and base64 (decoded)
	next int32  // the node behind this one and all inside it
	num  uint64 // an int64, a bool, the bits of a float64, or how many values are inside
}

// Document is one decoded methodCall or methodResponse.
//
// The zero Document is ready for use. It is reused from body to body and keeps
// its memory, less than 1 MiB whatever the bodies were. It refers to the body
// that it parsed: it, and all that was read from it, is valid until the next
// parse or until the body is changed. It is not safe for concurrent use.
type Document struct {
	scanner
	nodes  []node
	method span
	result *Fault // the fault that a methodResponse carries
}

// ParseCall decodes the body of a methodCall. The error is a *Fault; after one
// the document is empty.
func (d *Document) ParseCall(body []byte) error {
	return d.parse(body, methodCallElement)
}

// ParseResponse decodes the body of a methodResponse: a result, which is then
// the one parameter, or a fault. The error is a *Fault; after one the document
// is empty. A fault that the response carries is not an error: see
// [Document.Fault].
func (d *Document) ParseResponse(body []byte) error {
	return d.parse(body, methodResponseElement)
}

// Method gives the method's name in a methodCall: letters, digits and "_.:/".
func (d *Document) Method() []byte {
	return d.bytes(d.method)
}

// NumParams gives the number of parameters. A methodResponse has one, or none
// when it is a fault.
func (d *Document) NumParams() int {
	return d.params().Len()
}

// Param gives parameter i, counted from 0, or the zero Value when there is
// none.
func (d *Document) Param(i int) Value {
	return d.params().Index(i)
}

// Fault gives the fault that a methodResponse carries, or nil.
func (d *Document) Fault() *Fault {
	return d.result
}

func (d *Document) params() Value {
	if len(d.nodes) == 0 {
		return Value{}
	}
	return Value{document: d}
}

func (d *Document) parse(body []byte, root element) error {
	d.nodes = append(d.nodes[:0], node{kind: Array, next: 1})
	d.method, d.result = span{}, nil
	if d.start(body) {
		if d.root(root) || d.drain() {
			d.epilog()
		}
	}
	fault := d.fault
	if fault == nil {
		fault = d.refusal
	}
	if fault != nil {
		d.nodes, d.method, d.result = d.nodes[:0], span{}, nil
		return fault
	}
	return nil
}

// drain reads the rest of the root element of a document that is refused.
func (d *Document) drain() bool {
	for d.fault == nil && d.depth > 0 {
		d.text = d.text[:0]
		if _, ok := d.characterData(); !ok {
			return false
		}
		d.next()
	}
	return d.fault == nil
}

func (d *Document) root(want element) bool {
	at := d.pos
	switch got := d.next(); {
	case got == noTag:
		return false
	case got != want && want == methodCallElement:
		return d.refuse(at, "the root element is not <methodCall>")
	case got != want:
		return d.refuse(at, "the root element is not <methodResponse>")
	case want == methodCallElement:
		return d.methodCall()
	}
	return d.methodResponse()
}

// nextLikely is next where the start tag of likely is probably there as it is
// written in tag, to the byte.
func (d *Document) nextLikely(likely element, tag string) element {
	if i := d.pos; !d.empty && d.has(i, tag) {
		d.tag, d.pos = i, i+len(tag)
		if !d.push(i+len("<"), d.pos-len(">")) {
			return noTag
		}
		return likely
	}
	return d.next()
}

// expect reads the start tag of the element want.
func (d *Document) expect(want element, tag string) bool {
	got := d.nextLikely(want, tag)
	if got == want {
		return true
	}
	return d.misplaced(got, tag)
}

// end reads the end tag of the innermost open element, which is usually there
// as it is written in tag, to the byte.
func (d *Document) end(tag string) bool {
	if i := d.pos; !d.empty && d.has(i, tag) {
		d.tag, d.pos = i, i+len(tag)
		return d.close() == endTag
	}
	got := d.next()
	if got == endTag {
		return true
	}
	return d.misplaced(got, tag)
}

// misplaced refuses the tag got, read where another had to be.
func (d *Document) misplaced(got element, expected string) bool {
	switch got {
	case noTag:
		return false
	case endTag:
		return d.refuse(d.tag, "an end tag where %s should be", expected)
	}
	return d.refuse(d.tag, "<%.40s> where %s should be", d.bytes(d.open[d.depth-1]), expected)
}

func (d *Document) methodCall() bool {
	if !d.expect(methodNameElement, "<methodName>") {
		return false
	}
	at := d.pos
	var ok bool
	if d.method, ok = d.leaf("the method's name"); !ok {
		return false
	}
	if !isMethodName(d.bytes(d.method)) {
		return d.refuse(at, `a method's name has letters, digits and "_.:/" only`)
	}
	switch got := d.next(); got {
	case endTag:
		return true // no params
	case paramsElement:
		return d.paramList() && d.end("</methodCall>")
	default:
		return d.misplaced(got, "<params>")
	}
}

func (d *Document) methodResponse() bool {
	at := d.pos
	switch got := d.next(); got {
	case paramsElement:
		if !d.paramList() {
			return false
		}
		if d.nodes[0].num != 1 {
			return d.refuse(at, "a response has one parameter, not %d", d.nodes[0].num)
		}
	case faultElement:
		if !d.faultValue() {
			return false
		}
	default:
		return d.misplaced(got, "<params> or <fault>")
	}
	return d.end("</methodResponse>")
}

// paramList reads the inside of params.
func (d *Document) paramList() bool {
	for {
		switch got := d.next(); got {
		case paramElement:
			if !d.expect(valueElement, "<value>") || !d.value(span{}, 1) || !d.end("</param>") {
				return false
			}
			d.nodes[0].num++
		case endTag:
			d.nodes[0].next = int32(len(d.nodes))
			return true
		default:
			return d.misplaced(got, "<param>")
		}
	}
}

// faultValue reads the inside of fault, which is a struct of faultCode and
// faultString.
func (d *Document) faultValue() bool {
	at := d.pos
	if !d.expect(valueElement, "<value>") || !d.value(span{}, 1) || !d.end("</fault>") {
		return false
	}
	v := Value{document: d, index: 1}
	code, hasCode := v.Member("faultCode")
	message, hasMessage := v.Member("faultString")
	if !hasCode || !hasMessage || v.Len() != 2 || code.Kind() != Int || message.Kind() != String {
		return d.refuse(at, "a fault is a struct of an int faultCode and a string faultString")
	}
	d.result = &Fault{Code: int(code.Int()), Message: message.Text()}
	d.nodes = d.nodes[:1]
	return true
}

// value reads the inside of value and its end tag.
func (d *Document) value(name span, depth int) bool {
	if depth > MaxDepth {
		return d.fail(NotXMLRPC, d.pos, "values nest deeper than %d", MaxDepth)
	}
	i := len(d.nodes)
	d.nodes = append(d.nodes, node{kind: String, name: name})
	at := d.pos
	text, ok := d.characterData()
	if !ok {
		return false
	}
	got := d.next()
	if got == endTag {
		if text.len() > MaxString {
			return d.tooLong(at, "a string")
		}
		d.nodes[i].text = text
		d.nodes[i].next = int32(len(d.nodes))
		return true
	}
	if text.len() > 0 && !isAllSpace(d.bytes(text)) {
		return d.refuse(at, "character data beside an element in <value>")
	}
	switch got {
	case structElement:
		ok = d.members(i, depth)
	case arrayElement:
		ok = d.elements(i, depth)
	default:
		ok = d.scalar(got, i)
	}
	d.nodes[i].next = int32(len(d.nodes))
	return ok && d.end("</value>")
}

// scalars says of each type element that holds text only what its value is, and
// what the text has to be.
var scalars = [...]struct {
	kind       Kind
	what, form string
}{
	i4Element:       {Int, "an int", "an integer of 32 bits"},
	intElement:      {Int, "an int", "an integer of 32 bits"},
	i8Element:       {Int, "an i8", "an integer of 64 bits"},
	booleanElement:  {Boolean, "a boolean", "a boolean, 0 or 1"},
	stringElement:   {String, "a string", ""},
	doubleElement:   {Double, "a double", "a finite double"},
	dateTimeElement: {DateTime, "a dateTime", "a dateTime like 20060102T15:04:05"},
	base64Element:   {Base64, "base64", "base64 with padding"},
	nilElement:      {Nil, "nil", "nil, which is empty"},
}

// scalar reads the inside of the type element got and its end tag.
func (d *Document) scalar(got element, i int) bool {
	if int(got) >= len(scalars) || scalars[got].kind == Invalid {
		return d.misplaced(got, "a type")
	}
	scalar := scalars[got]
	at := d.pos
	text, ok := d.leaf(scalar.what)
	if !ok {
		return false
	}
	n, b := &d.nodes[i], d.bytes(text)
	n.kind = scalar.kind
	switch got {
	case stringElement:
		n.text = text
	case i4Element, intElement:
		n.num, ok = parseInt(b, 32)
	case i8Element:
		n.num, ok = parseInt(b, 64)
	case booleanElement:
		n.num, ok = parseBoolean(b)
	case doubleElement:
		n.num, ok = parseDouble(b)
	case dateTimeElement:
		n.text = text
		_, ok = parseDateTime(b)
	case base64Element:
		n.text, ok = d.base64(text)
	case nilElement:
		ok = len(b) == 0
	}
	return ok || d.refuse(at, "%.40q is not %s", b, scalar.form)
}

// leaf reads the text of an element that has nothing else inside, and its end
// tag.
func (d *Document) leaf(what string) (span, bool) {
	at := d.pos
	text, ok := d.characterData()
	if !ok {
		return span{}, false
	}
	if got := d.next(); got != endTag {
		return span{}, d.misplaced(got, what)
	}
	if text.len() > MaxString {
		return span{}, d.tooLong(at, what)
	}
	return text, true
}

func (d *Document) tooLong(at int, what string) bool {
	return d.refuse(at, "%s over the limit of %d bytes", what, MaxString)
}

// members reads the inside of struct.
func (d *Document) members(i, depth int) bool {
	d.nodes[i].kind = Struct
	for {
		switch got := d.nextLikely(memberElement, "<member>"); got {
		case memberElement:
		case endTag:
			return true
		default:
			return d.misplaced(got, "<member>")
		}
		if !d.expect(nameElement, "<name>") {
			return false
		}
		at := d.pos
		name, ok := d.leaf("a member's name")
		if !ok {
			return false
		}
		if d.duplicate(i, name) {
			return d.refuse(at, "member %.40q stands twice", d.bytes(name))
		}
		if d.nodes[i].num == MaxMembers {
			return d.refuse(at, "more than %d members", MaxMembers)
		}
		if !d.expect(valueElement, "<value>") || !d.value(name, depth+1) || !d.end("</member>") {
			return false
		}
		d.nodes[i].num++
	}
}

// duplicate reports whether struct i, which is being read, has a member name.
func (d *Document) duplicate(i int, name span) bool {
	b := d.bytes(name)
	for j := i + 1; j < len(d.nodes); j = int(d.nodes[j].next) {
		if other := d.nodes[j].name; other.len() == len(b) && bytes.Equal(d.bytes(other), b) {
			return true
		}
	}
	return false
}

// elements reads the inside of array.
func (d *Document) elements(i, depth int) bool {
	d.nodes[i].kind = Array
	if !d.expect(dataElement, "<data>") {
		return false
	}
	for {
		switch got := d.next(); got {
		case valueElement:
			if !d.value(span{}, depth+1) {
				return false
			}
			d.nodes[i].num++
		case endTag:
			return d.end("</array>")
		default:
			return d.misplaced(got, "<value>")
		}
	}
}
