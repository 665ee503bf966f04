package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kolo/xmlrpc"

	"ringmaster/logic"
	"ringmaster/rpc/api"
)

// engineClient speaks to a running engine as a node does.
type engineClient struct {
	url, node, secret string
	http              *http.Client
	session           string // token of the last reply
	callID            string
}

// maxReply bounds what is read of a reply, in bytes.
const maxReply = 1 << 20

// wireInstruction is an instruction as it stands in a reply; absent members stay zero.
type wireInstruction struct {
	Op             string       `xmlrpc:"op"`
	Prompts        []string     `xmlrpc:"prompts"`
	Language       string       `xmlrpc:"language"`
	Minimum        int          `xmlrpc:"minimum"`
	Maximum        int          `xmlrpc:"maximum"`
	Terminator     string       `xmlrpc:"terminator"`
	FirstTimeout   int          `xmlrpc:"first_timeout"`
	DigitTimeout   int          `xmlrpc:"digit_timeout"`
	Targets        []wireTarget `xmlrpc:"targets"`
	CallerID       string       `xmlrpc:"caller_id"`
	MaximumSeconds int          `xmlrpc:"maximum_seconds"`
	WarningSeconds int          `xmlrpc:"warning_seconds"`
	FollowOn       bool         `xmlrpc:"follow_on"`
	Cause          int          `xmlrpc:"cause"`
}

type wireTarget struct {
	Trunk   string `xmlrpc:"trunk"`
	Number  string `xmlrpc:"number"`
	Timeout int    `xmlrpc:"timeout"`
}

type wireReply struct {
	Session      string            `xmlrpc:"session"`
	Instructions []wireInstruction `xmlrpc:"instructions"`
	Revision     string            `xmlrpc:"revision"`
	Service      string            `xmlrpc:"service"`
}

func (c *engineClient) start(ctx context.Context, call logic.Session) (turn, error) {
	c.callID = call.CallID
	return c.decision(ctx, api.MethodCallStart, map[string]any{
		api.CallID: call.CallID, api.Node: c.node, api.Channel: call.Channel, api.Caller: call.Caller, api.Called: call.Called, api.Trunk: call.Trunk,
	})
}

func (c *engineClient) report(ctx context.Context, results []logic.Result) (turn, error) {
	return c.decision(ctx, api.MethodCallReport, map[string]any{api.Session: c.session, api.Results: wireResults(results)})
}

func (c *engineClient) end(ctx context.Context, end logic.EndEvent) (string, error) {
	members := map[string]any{
		api.Session: c.session, api.Cause: end.Cause, api.TalkSeconds: end.Talk.Seconds(), api.Results: wireResults(end.Results),
		api.EndedAt: end.EndedAt.UTC().Format(time.RFC3339Nano),
	}
	if !end.AnsweredAt.IsZero() {
		members[api.AnsweredAt] = end.AnsweredAt.UTC().Format(time.RFC3339Nano)
	}
	var reply struct {
		CallID  string `xmlrpc:"call_id"`
		Charges []struct {
			Account  string `xmlrpc:"account"`
			Amount   string `xmlrpc:"amount"`
			Currency string `xmlrpc:"currency"`
			Tariff   string `xmlrpc:"tariff"`
			Seconds  int    `xmlrpc:"seconds"`
			Share    bool   `xmlrpc:"share"`
		} `xmlrpc:"charges"`
	}
	if err := c.ask(ctx, api.MethodCallEnd, members, &reply); err != nil {
		return "", err
	}
	var said strings.Builder
	for _, charge := range reply.Charges {
		if charge.Share {
			fmt.Fprintf(&said, "Account %s is credited with %s %s.\n", charge.Account, charge.Amount, charge.Currency)
			continue
		}
		fmt.Fprintf(&said, "Account %s pays %s %s for %d s by tariff %s.\n", charge.Account, charge.Amount, charge.Currency, charge.Seconds, charge.Tariff)
	}
	fmt.Fprintf(&said, "The engine has the record: SELECT * FROM cdr WHERE call_id = '%s'", reply.CallID)
	return said.String(), nil
}

func wireResults(results []logic.Result) []map[string]any {
	sent := make([]map[string]any, 0, len(results))
	for _, r := range results {
		members := map[string]any{api.Op: r.Op.String(), api.Status: r.Status.String()}
		switch r.Op {
		case logic.OpCollect:
			members[api.Digits] = r.Digits
		case logic.OpConnect:
			members[api.Target], members[api.Cause], members[api.TalkSeconds] = r.Target, r.Cause, r.Talk.Seconds()
		}
		sent = append(sent, members)
	}
	return sent
}

func (c *engineClient) decision(ctx context.Context, method string, members map[string]any) (turn, error) {
	var reply wireReply
	if err := c.ask(ctx, method, members, &reply); err != nil {
		return turn{}, err
	}
	c.session = reply.Session
	t := turn{service: reply.Service, revision: reply.Revision}
	for _, in := range reply.Instructions {
		op, ok := logic.ParseOp(in.Op)
		if !ok {
			return t, fmt.Errorf("couldn't obey the engine: it sent the instruction %q, which this version doesn't know", in.Op)
		}
		instruction := logic.Instruction{Op: op, Prompts: in.Prompts, Language: in.Language, Minimum: in.Minimum, Maximum: in.Maximum,
			Terminator: in.Terminator, FirstTimeout: in.FirstTimeout, DigitTimeout: in.DigitTimeout, CallerID: in.CallerID,
			MaximumSeconds: in.MaximumSeconds, WarningSeconds: in.WarningSeconds, FollowOn: in.FollowOn, Cause: in.Cause}
		for _, target := range in.Targets {
			instruction.Targets = append(instruction.Targets, logic.Target(target))
		}
		t.instructions = append(t.instructions, instruction)
	}
	return t, nil
}

// ask makes one call of a method.
func (c *engineClient) ask(ctx context.Context, method string, members map[string]any, reply any) error {
	body, err := xmlrpc.EncodeMethodCall(method, members)
	if err != nil {
		return fmt.Errorf("couldn't write %s: %w", method, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("couldn't ask %s: %w", c.url, err)
	}
	request.Header.Set("Content-Type", "text/xml")
	request.SetBasicAuth(c.node, c.secret)
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("couldn't ask the engine: %w; is it running? \"ringmaster dev\" starts one, --url names another", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	switch {
	case err != nil:
		return fmt.Errorf("couldn't read the engine's answer: %w", err)
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("the engine at %s doesn't know node %q by that secret: give --node and --secret, or set it with SELECT set_node_secret('%s', …)", c.url, c.node, c.node)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the engine at %s refused: %s: %s", c.url, response.Status, bytes.TrimSpace(answer))
	}
	var fault xmlrpc.FaultError
	switch err := xmlrpc.Response(answer).Err(); {
	case errors.As(err, &fault):
		return fmt.Errorf("%s: fault %d: %s (docs/API.md lists the faults)", method, fault.Code, fault.String)
	case err != nil:
		return fmt.Errorf("couldn't read the engine's answer: %w", err)
	}
	if err := xmlrpc.Response(answer).Unmarshal(reply); err != nil {
		return fmt.Errorf("couldn't read the engine's answer: %w", err)
	}
	return nil
}
