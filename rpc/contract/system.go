package contract

import "ringmaster/rpc/api"

func systemMethods() []*Method {
	return []*Method{
		{
			Name:       api.MethodListMethods,
			Summary:    "Lists the methods' names.",
			Help:       "XML-RPC introspection.",
			Signatures: [][]string{{"array"}},
		},
		{
			Name:       api.MethodMethodSignature,
			Summary:    "Says which types a method takes and returns.",
			Help:       "XML-RPC introspection: takes a method's name, returns an array of signatures, each an array of types, the returned one first.",
			Signatures: [][]string{{"array", "string"}},
		},
		{
			Name:       api.MethodMethodHelp,
			Summary:    "Explains a method.",
			Help:       "XML-RPC introspection: takes a method's name, returns text.",
			Signatures: [][]string{{"string", "string"}},
		},
		{
			Name:       api.MethodGetCapabilities,
			Summary:    "Says which conventions the server follows.",
			Help:       "Returns a struct with a member for each convention, a struct of specUrl and specVersion.",
			Signatures: [][]string{{"struct"}},
		},
		{
			Name:    api.MethodMulticall,
			Summary: "Makes several calls in one request.",
			Help: "Takes an array of at most 64 structs {methodName, params}; returns an array with, for each call in order, an array of its one result, or the " +
				"struct of its fault. Each call is a query of its own, with a budget of its own. A multicall inside a multicall is fault 108, as are too many calls.",
			Signatures: [][]string{{"array", "array"}},
			Faults:     []int{api.FaultMulticall},
		},
	}
}
