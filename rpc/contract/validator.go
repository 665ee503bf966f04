package contract

// validatorMethods are UserLand's validator suite (xmlrpc.com, "validator1"), by which any client can be checked
// against the server.
func validatorMethods() []*Method {
	line := func(name, summary string, signature ...string) *Method {
		return &Method{
			Name: "validator1." + name, Summary: summary, Help: "Part of UserLand's validator1 suite; served with --validator only.",
			Signatures: [][]string{signature},
		}
	}
	return []*Method{
		line("arrayOfStructsTest", "Adds the members curly of an array of structs.", "int", "array"),
		line("countTheEntities", "Counts <, >, &, ' and \" in a string.", "struct", "string"),
		line("easyStructTest", "Adds the members moe, larry and curly of a struct.", "int", "struct"),
		line("echoStructTest", "Returns the struct it got.", "struct", "struct"),
		line("manyTypesTest", "Returns its six parameters as an array.", "array", "int", "boolean", "string", "double", "dateTime.iso8601", "base64"),
		line("moderateSizeArrayCheck", "Concatenates the first and the last of an array of strings.", "string", "array"),
		line("nestedStructTest", "Adds moe, larry and curly of 1 April 2000 in a calendar of structs.", "int", "struct"),
		line("simpleStructReturnTest", "Returns a number times 10, 100 and 1000.", "struct", "int"),
	}
}
