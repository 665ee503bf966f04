package asterisk

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"
)

// The AGI protocol (Asterisk: res_agi.c, "AGI" in its documentation): the environment as "agi_name: value" lines up to an empty one, then
// commands, each answered by one line "200 result=…" or by a block "520-…" to "520 …". A line HANGUP may come in between at any time.
const (
	maxLine        = 16 << 10 // bytes of a line from Asterisk
	maxEnvironment = 128      // lines
	maxCommand     = 2000     // bytes; Asterisk reads 2048

	commandTimeout = 5 * time.Second // of a command that Asterisk answers at once
	// dialogueTimeout is of a subroutine that plays or collects: long enough for any announcement, and an end to it all the same.
	dialogueTimeout = time.Hour
)

// Errors of both protocols, to be looked for with errors.Is.
var (
	ErrHungUp   = errors.New("the channel has hung up")
	ErrProtocol = errors.New("not the protocol")
	ErrGrammar  = errors.New("not in the grammar") // a value that must not be sent
)

// Channel is one FastAGI connection: a visit of a channel of Asterisk. It is used by one goroutine.
type Channel struct {
	conn   net.Conn
	reader *bufio.Reader
	hungUp bool // a HANGUP line has come
}

// NewChannel takes over a connection that Asterisk has made. It does not close it.
func NewChannel(conn net.Conn) *Channel {
	return &Channel{conn: conn, reader: bufio.NewReaderSize(conn, maxLine)}
}

// Begin reads the environment: the script's name and its first argument.
func (c *Channel) Begin() (script, argument string, err error) {
	_ = c.conn.SetDeadline(time.Now().Add(commandTimeout))
	for range maxEnvironment {
		line, err := c.line()
		if err != nil {
			return "", "", err
		}
		if line == "" {
			return strings.Trim(script, "/"), argument, nil
		}
		name, value, found := strings.Cut(line, ": ")
		if !found {
			name, found = strings.CutSuffix(line, ":")
		}
		if !found || !strings.HasPrefix(name, "agi_") {
			return "", "", fmt.Errorf("environment line %.48q: %w", line, ErrProtocol)
		}
		switch name {
		case "agi_network_script":
			if script == "" { // the first: Asterisk's, in front of all that a caller can write
				script = value
			}
		case "agi_arg_1":
			argument = value // the last: Asterisk's, behind all that a caller can write
		}
	}
	return "", "", fmt.Errorf("environment over %d lines: %w", maxEnvironment, ErrProtocol)
}

// Prove makes sure that replies are replies: that the environment had ended where it seemed to, and nothing that a caller wrote (a name with line breaks in
// it) passes for Asterisk's words. Nobody could have written a number before it was drawn.
func (c *Channel) Prove() error {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	nonce := hex.EncodeToString(b[:])
	if err := c.Set("RINGMASTER_NONCE", nonce); err != nil {
		return err
	}
	got, err := c.Get("RINGMASTER_NONCE")
	if err == nil && got != nonce {
		err = fmt.Errorf("a reply that is none: %w", ErrProtocol)
	}
	return err
}

// line reads one line without its end.
func (c *Channel) line() (string, error) {
	data, err := c.reader.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("line over %d bytes: %w", maxLine, ErrProtocol)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", fmt.Errorf("Asterisk does not answer: %w", err)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrHungUp, err) // with AGIEXITONHANGUP, Asterisk closes when the caller goes
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// agiReply is a reply line: 200 result=1 (text).
type agiReply struct {
	code   string
	result string
	text   string // in parentheses
}

var replyGrammar = regexp.MustCompile(`^(\d{3}) result=(-?[0-9*#A-D]*)(?: \((.*)\))?(?: [A-Za-z].*)?$`)

// command sends one command and reads its reply.
func (c *Channel) command(wait time.Duration, words ...string) (agiReply, error) {
	var b strings.Builder
	for i, w := range words {
		if strings.ContainsAny(w, "\r\n\x00\"\\") {
			return agiReply{}, fmt.Errorf("argument %.48q of %s: %w", w, words[0], ErrGrammar)
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		if i > 0 && (w == "" || strings.ContainsAny(w, " \t")) {
			w = `"` + w + `"`
		}
		b.WriteString(w)
	}
	if b.Len() > maxCommand {
		return agiReply{}, fmt.Errorf("command %s of %d bytes, at most %d: %w", words[0], b.Len(), maxCommand, ErrGrammar)
	}
	b.WriteByte('\n')
	_ = c.conn.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		return agiReply{}, fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	for {
		line, err := c.line()
		if err != nil {
			return agiReply{}, err
		}
		if line == "HANGUP" {
			c.hungUp = true
			continue
		}
		if strings.HasPrefix(line, "100 ") {
			continue // under way
		}
		if strings.HasPrefix(line, "520-") { // a block: usage of a command that was not understood
			for !strings.HasPrefix(line, "520 ") {
				if line, err = c.line(); err != nil {
					return agiReply{}, err
				}
			}
			return agiReply{}, fmt.Errorf("Asterisk does not understand %s: %w", words[0], ErrProtocol)
		}
		if strings.HasPrefix(line, "511 ") {
			return agiReply{}, ErrHungUp // not permitted on a dead channel
		}
		m := replyGrammar.FindStringSubmatch(line)
		if m == nil || m[1] != "200" {
			return agiReply{}, fmt.Errorf("reply %.48q to %s: %w", line, words[0], ErrProtocol)
		}
		if c.hungUp {
			return agiReply{}, ErrHungUp
		}
		return agiReply{m[1], m[2], m[3]}, nil
	}
}

// Set sets a channel variable, or a function such as TIMEOUT(absolute).
func (c *Channel) Set(name, value string) error {
	_, err := c.command(commandTimeout, "SET", "VARIABLE", name, value)
	return err
}

// Get reads a channel variable; one that is not set is empty.
func (c *Channel) Get(name string) (string, error) {
	r, err := c.command(commandTimeout, "GET", "VARIABLE", name)
	return r.text, err
}

// Gosub runs a subroutine of the dialplan up to its Return().
func (c *Channel) Gosub(context, extension string) error {
	r, err := c.command(dialogueTimeout, "GOSUB", context, extension, "1")
	if err == nil && r.result != "0" {
		// It ended without Return(): the channel has hung up, or the dialplan is another one.
		err = ErrHungUp
	}
	return err
}
