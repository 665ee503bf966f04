package asterisk

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestAGIForgedLines: forged lines among the real ones, without an empty line, change nothing.
func TestAGIForgedLines(t *testing.T) {
	c := &Channel{reader: bufio.NewReader(strings.NewReader("agi_network_script: start\nagi_calleridname: x\nagi_arg_1: id=forged\nagi_network_script: next\nagi_arg_1: id=real\n\n")), conn: discardConn{}}
	script, argument, err := c.Begin()
	if err != nil || script != "start" || argument != "id=real" {
		t.Errorf("%q %q %v", script, argument, err)
	}
}

// discardConn is a connection that takes everything; what is read comes from the channel's reader.
type discardConn struct{ net.Conn }

func (discardConn) Write(b []byte) (int, error) { return len(b), nil }
func (discardConn) SetDeadline(time.Time) error { return nil }

// FuzzAGI: whatever Asterisk's end sends, the protocol neither panics nor hangs nor takes a broken reply for one.
func FuzzAGI(f *testing.F) {
	f.Add("agi_network: yes\nagi_network_script: start\nagi_arg_1: id=1&called=2\n\n200 result=1\n100 result=0 Trying...\n200 result=0 Gosub complete\n200 result=1 (&op=answer)\n")
	f.Add("agi_x: y\n\nHANGUP\n200 result=1 (a) (b))\n520-x\n520 y\n")
	f.Add("agi_x:\n\n200 result=\n200 result=-1\n510 Invalid\n")
	f.Fuzz(func(t *testing.T, input string) {
		c := &Channel{reader: bufio.NewReaderSize(strings.NewReader(input), 256), conn: discardConn{}}
		if _, _, err := c.Begin(); err != nil {
			return
		}
		for {
			r, err := c.command(time.Second, "GET", "VARIABLE", "X")
			if err != nil {
				if !errors.Is(err, ErrHungUp) && !errors.Is(err, ErrProtocol) {
					t.Fatalf("an error of no kind: %v", err)
				}
				return
			}
			if r.code != "200" || strings.ContainsAny(r.text, "\r\n") {
				t.Fatalf("took %+v", r)
			}
		}
	})
}

func TestCommandsCannotBeBroken(t *testing.T) {
	c := &Channel{reader: bufio.NewReader(strings.NewReader("200 result=1\n")), conn: discardConn{}}
	for _, v := range []string{"a\nb", "a\rb", "a\x00b", `a"b`, `a\b`, strings.Repeat("x", maxCommand)} {
		if err := c.Set("X", v); !errors.Is(err, ErrGrammar) {
			t.Errorf("%.20q is sent: %v", v, err)
		}
	}
}
