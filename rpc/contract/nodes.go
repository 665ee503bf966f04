package contract

import "ringmaster/rpc/api"

func nodeMethods() []*Method {
	reply := []Member{
		{api.State, textKind, true, "in_service or out_of_service: whether the operators want calls on the node."},
		{api.Gaps, arrayKind, true, "Call gaps to obey locally; empty when there are none."},
		{api.Extensions, arrayKind, true, "Calls that may go on for longer than they were granted: structs {call_id, charge, maximum_seconds (of conversation in all), final (there will be no more)}."},
		{api.Engines, arrayKind, true, "URLs of the engines in service; empty: go on with those that are configured."},
	}
	return []*Method{
		{
			Name:       api.MethodNodeRegister,
			Summary:    "Says that a node has started.",
			Help:       "Sent once after each start, until it is acknowledged: only then is it durable. It waits for that as call.end does.",
			Signatures: structSignature(),
			Request:    nodeMembers,
			Reply:      reply,
			Faults:     []int{api.FaultApplication, api.FaultNotYourCall, api.FaultOverloaded, api.FaultNotDurable},
		},
		{
			Name:       api.MethodNodeHeartbeat,
			Summary:    "Says that a node is alive, and which calls are.",
			Help:       "Sent every 5 seconds. It is answered inside the budget even when it cannot be recorded: the next one makes up for it.",
			Signatures: structSignature(),
			Request:    nodeMembers,
			Reply:      reply,
			Faults:     []int{api.FaultNotYourCall},
		},
	}
}

// The members of node.register and node.heartbeat, as indexes into Values.
const (
	NodeName = iota
	NodeBootID
	NodeCapacity
	NodeChannels
	NodeCalls
	NodeTalking
)

var nodeMembers = []Member{
	NodeName:     {api.Node, textKind, true, "The node's name; it must be the one that has authenticated."},
	NodeBootID:   {api.BootID, textKind, true, "New at each start of the node: 1–64 printable ASCII characters."},
	NodeCapacity: {api.Capacity, intKind, false, "Channels that the node may carry; absent or 0: what the operators' table says."},
	NodeChannels: {api.Channels, intKind, true, "Channels in use now."},
	NodeCalls:    {api.Calls, arrayKind, false, "call_ids that are live on the node, at most 1024. One that begins with another node's name and a hyphen is left out, here and in talking, and counted (ringmaster_rpc_foreign_calls_total); the rest counts."},
	NodeTalking:  {api.Talking, arrayKind, false, "Of those in which people talk, a struct {call_id, answered_at, talk_seconds, final, over}: when the conversation began, and how long it has lasted, which counts if it is there: then the node's clock need not be right. What the call holds is extended by it, unless final says that the node cannot; and if the node is lost, it is charged up to the last heartbeat. A conversation that is over is named, with final and over, until the next one is tried."},
}
