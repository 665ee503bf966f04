package rpc

import (
	"io"

	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// method is a method of the contract and how it is served.
type method struct {
	*contract.Method

	// serve decides, and writes the result as one value to q.writer. The members of the one struct that most methods
	// take are in q.args, of the right types; the others check the parameters themselves. It marks the end of its
	// phases but the last. On a fault, what it has written is thrown away.
	serve func(s *Server, q *query, p contract.Parameters) *wire.Fault
	// durable methods wait for the ledger, beyond the budget, and are capped apart from the others.
	durable bool
	// sheddable methods are the first to be refused when there are too many queries.
	sheddable bool
}

// served says by name how each method of the contract is served.
var served = map[string]method{
	api.MethodCallStart:       {serve: (*Server).callStart, sheddable: true},
	api.MethodCallReport:      {serve: (*Server).callReport},
	api.MethodCallEnd:         {serve: (*Server).callEnd, durable: true},
	api.MethodNumberTranslate: {serve: (*Server).numberTranslate, sheddable: true},
	api.MethodAccountBalance:  {serve: (*Server).accountBalance},
	api.MethodAccountRecharge: {serve: (*Server).accountRecharge, durable: true},
	api.MethodNodeRegister:    {serve: (*Server).nodeRegister, durable: true},
	api.MethodNodeHeartbeat:   {serve: (*Server).nodeHeartbeat, durable: true},

	api.MethodListMethods:     {serve: (*Server).listMethods},
	api.MethodMethodSignature: {serve: (*Server).methodSignature},
	api.MethodMethodHelp:      {serve: (*Server).methodHelp},
	api.MethodGetCapabilities: {serve: (*Server).getCapabilities},
	api.MethodMulticall:       {serve: (*Server).multicall},

	"validator1.arrayOfStructsTest":     {serve: (*Server).arrayOfStructsTest},
	"validator1.countTheEntities":       {serve: (*Server).countTheEntities},
	"validator1.easyStructTest":         {serve: (*Server).easyStructTest},
	"validator1.echoStructTest":         {serve: (*Server).echoStructTest},
	"validator1.manyTypesTest":          {serve: (*Server).manyTypesTest},
	"validator1.moderateSizeArrayCheck": {serve: (*Server).moderateSizeArrayCheck},
	"validator1.nestedStructTest":       {serve: (*Server).nestedStructTest},
	"validator1.simpleStructReturnTest": {serve: (*Server).simpleStructReturnTest},
}

// registry lists the methods in the contract's order.
func registry(validator bool) []*method {
	var methods []*method
	for _, described := range contract.Methods(validator) {
		m := served[described.Name]
		m.Method = described
		methods = append(methods, &m)
	}
	return methods
}

// WriteReference writes docs/API.md, with the defaults of a Server. It fails when w does.
func WriteReference(w io.Writer) error {
	return contract.WriteReference(w, contract.Defaults{
		Budget: DefaultBudget, EndTimeout: DefaultEndTimeout, SessionLifetime: DefaultSessionLifetime, RecentAnswers: DefaultRecentAnswers,
	})
}
