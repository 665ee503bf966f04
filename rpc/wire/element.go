package wire

// element is what a tag was: one of XML-RPC's start tags, another start tag,
// an end tag, or none at all.
type element uint8

const (
	noTag element = iota // the scan or the grammar has failed
	endTag
	otherElement
	methodCallElement
	methodResponseElement
	methodNameElement
	paramsElement
	paramElement
	faultElement
	valueElement
	structElement
	memberElement
	nameElement
	arrayElement
	dataElement
	i4Element
	intElement
	i8Element
	booleanElement
	stringElement
	doubleElement
	dateTimeElement
	base64Element
	nilElement
)

// elementNamed gives the element for a start tag's name.
func elementNamed(name []byte) element {
	switch string(name) {
	case "methodCall":
		return methodCallElement
	case "methodResponse":
		return methodResponseElement
	case "methodName":
		return methodNameElement
	case "params":
		return paramsElement
	case "param":
		return paramElement
	case "fault":
		return faultElement
	case "value":
		return valueElement
	case "struct":
		return structElement
	case "member":
		return memberElement
	case "name":
		return nameElement
	case "array":
		return arrayElement
	case "data":
		return dataElement
	case "i4":
		return i4Element
	case "int":
		return intElement
	case "i8", "ex:i8":
		return i8Element
	case "boolean":
		return booleanElement
	case "string":
		return stringElement
	case "double":
		return doubleElement
	case "dateTime.iso8601":
		return dateTimeElement
	case "base64":
		return base64Element
	case "nil", "ex:nil":
		return nilElement
	}
	return otherElement
}

// apacheExtensions is the namespace of ex:i8 and ex:nil.
const apacheExtensions = "http://ws.apache.org/xmlrpc/namespaces/extensions"
