package call

import (
	"encoding/binary"
	"time"

	"ringmaster/logic/charging"
)

// encoder writes a session as varints and counted texts. decoder reads the same in the same order.
type encoder struct{ buf []byte }

func (e *encoder) integer(n int64) { e.buf = binary.AppendVarint(e.buf, n) }

func (e *encoder) text(s string) {
	e.buf = binary.AppendUvarint(e.buf, uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) boolean(b bool) {
	if b {
		e.buf = append(e.buf, 1)
	} else {
		e.buf = append(e.buf, 0)
	}
}

// time writes milliseconds; the zero time stays the zero time.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.integer(0)
		return
	}
	e.integer(t.UnixMilli())
}

// token writes all that is signed.
func (e *encoder) token(key int64, expires time.Time, call *Session) {
	e.buf = append(e.buf, tokenVersion)
	e.integer(key)
	e.integer(expires.Unix())
	e.text(call.Node)
	e.session(call)
}

func (e *encoder) session(c *Session) {
	for _, text := range [...]string{
		c.CallID, c.Channel, c.Trunk, c.Caller, c.Called, c.Dialled, c.Service, c.Subscriber, c.Script, c.Step, c.Language,
	} {
		e.text(text)
	}
	e.integer(int64(c.Presentation))
	e.time(c.StartedAt)
	e.integer(c.Revision)
	e.integer(int64(c.Attempt))
	e.integer(int64(c.Release))
	e.boolean(c.Answered)
	e.boolean(c.Continued)
	e.boolean(c.HungUp)
	e.integer(int64(c.Charge))
	e.integer(int64(c.Payment))
	e.integer(c.Granted)
	e.boolean(c.Final)
	e.integer(int64(c.Tries))
	e.boolean(c.Held)
	e.integer(int64(len(c.Path)))
	e.buf = append(e.buf, c.Path...)
	e.integer(int64(len(c.Variables)))
	for i := range c.Variables {
		e.text(c.Variables[i].Name)
		e.text(c.Variables[i].Value)
	}
	e.integer(int64(len(c.Legs)))
	for i := range c.Legs {
		leg := &c.Legs[i]
		e.text(leg.Trunk)
		e.text(leg.Number)
		e.integer(int64(leg.Status))
		e.text(leg.DialStatus)
		e.integer(int64(leg.Cause))
		e.integer(leg.TalkMilliseconds)
		e.integer(int64(leg.Charge))
	}
	e.integer(int64(len(c.Records)))
	for i := range c.Records {
		e.time(c.Records[i].At)
		e.text(c.Records[i].Kind)
		e.text(c.Records[i].Text)
	}
	e.integer(int64(len(c.Targets)))
	for i := range c.Targets {
		e.text(c.Targets[i].Trunk)
		e.text(c.Targets[i].Number)
		e.integer(int64(c.Targets[i].Timeout))
	}
	e.integer(int64(len(c.Talk)))
	for i := range c.Talk {
		e.integer(int64(c.Talk[i].Number))
		e.integer(c.Talk[i].Talk)
	}
	e.integer(int64(len(c.Blind)))
	for i := range c.Blind {
		e.blind(&c.Blind[i])
	}
}

// decoder reads what encoder wrote. After the first fault good is false and everything reads as zero.
type decoder struct {
	rest string
	good bool
}

func (d *decoder) fail() { d.good, d.rest = false, "" }

// unsigned reads a varint (as encoding/binary writes it).
func (d *decoder) unsigned() uint64 {
	var n uint64
	for i := 0; i < len(d.rest) && i < 10; i++ {
		b := d.rest[i]
		if i == 9 && b > 1 {
			break
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return n
		}
	}
	d.fail()
	return 0
}

func (d *decoder) integer() int64 {
	n := d.unsigned()
	return int64(n>>1) ^ -int64(n&1)
}

// count reads how many items follow; each has at least one byte.
func (d *decoder) count() int {
	n := d.integer()
	if n < 0 || n > int64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.unsigned()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) boolean() bool {
	if d.rest == "" {
		d.fail()
		return false
	}
	b := d.rest[0] == 1
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) time() time.Time {
	if milliseconds := d.integer(); milliseconds != 0 {
		return time.UnixMilli(milliseconds).UTC()
	}
	return time.Time{}
}

func (d *decoder) session(c *Session) {
	c.Reset()
	for _, text := range [...]*string{
		&c.CallID, &c.Channel, &c.Trunk, &c.Caller, &c.Called, &c.Dialled, &c.Service, &c.Subscriber, &c.Script, &c.Step, &c.Language,
	} {
		*text = d.text()
	}
	c.Presentation = Presentation(d.integer())
	c.StartedAt = d.time()
	c.Revision = d.integer()
	c.Attempt = int(d.integer())
	c.Release = int(d.integer())
	c.Answered = d.boolean()
	c.Continued = d.boolean()
	c.HungUp = d.boolean()
	c.Charge = int(d.integer())
	c.Payment = int(d.integer())
	c.Granted = d.integer()
	c.Final = d.boolean()
	c.Tries = int(d.integer())
	c.Held = d.boolean()
	length := d.count()
	c.Path = append(c.Path, d.rest[:length]...)
	d.rest = d.rest[length:]
	for range d.count() {
		c.Variables = append(c.Variables, Variable{d.text(), d.text()})
	}
	for range d.count() {
		c.Legs = append(c.Legs, Leg{
			Trunk: d.text(), Number: d.text(), Status: Status(d.integer()), DialStatus: d.text(),
			Cause: int(d.integer()), TalkMilliseconds: d.integer(), Charge: int(d.integer()),
		})
	}
	for range d.count() {
		c.Records = append(c.Records, Record{At: d.time(), Kind: d.text(), Text: d.text()})
	}
	for range d.count() {
		c.Targets = append(c.Targets, Target{Trunk: d.text(), Number: d.text(), Timeout: int(d.integer())})
	}
	for range d.count() {
		c.Talk = append(c.Talk, charging.Finished{Number: int(d.integer()), Talk: d.integer()})
	}
	for range d.count() {
		c.Blind = append(c.Blind, d.blind())
	}
}
