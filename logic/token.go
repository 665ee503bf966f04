package logic

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"sync"
	"time"
)

// TokenState says what came of opening a session token.
type TokenState uint8

const (
	TokenGood      TokenState = iota
	TokenInvalid              // not ours, or damaged
	TokenExpired              // ours, but too old
	TokenOtherNode            // ours, but given to another node
)

// MaxTokenLength bounds a token's text: a string of XML-RPC has at most 4 KiB here.
const MaxTokenLength = 4096

// tokenVersion is the first byte of a token. An engine that meets another version refuses it.
const tokenVersion = 1

// Keys sign session tokens with HMAC-SHA-256 (RFC 2104) and check them. Safe for concurrent use.
type Keys struct {
	keys    map[int64]*sessionKey
	current *sessionKey // nil: there is none
}

// sessionKey keeps ready-made HMACs, for starting one costs as much as using it.
type sessionKey struct {
	id   int64
	macs sync.Pool
}

const minimumSecret = 32 // bytes

func newKeys(rows []SessionKeyRow) (*Keys, []Problem) {
	keys := &Keys{keys: make(map[int64]*sessionKey, len(rows))}
	var problems []Problem
	var newest time.Time
	for _, row := range rows {
		if len(row.Secret) < minimumSecret {
			problems = append(problems, Problem{"session_key", strconv.FormatInt(row.SessionKeyID, 10),
				fmt.Sprintf("the secret has %d bytes, fewer than %d; make keys with rotate_session_key", len(row.Secret), minimumSecret)})
			continue
		}
		secret := slices.Clone(row.Secret)
		key := &sessionKey{id: row.SessionKeyID}
		key.macs.New = func() any { return hmac.New(sha256.New, secret) }
		keys.keys[row.SessionKeyID] = key
		if keys.current == nil || row.CreatedAt.After(newest) || row.CreatedAt.Equal(newest) && row.SessionKeyID > keys.current.id {
			keys.current, newest = key, row.CreatedAt
		}
	}
	if keys.current == nil {
		problems = append(problems, Problem{"session_key", "", "there is no session key, so no dialogue can be kept: call rotate_session_key"})
	}
	return keys, problems
}

// sum appends the HMAC of message to dst.
func (k *sessionKey) sum(dst, message []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(message)
	dst = mac.Sum(dst)
	k.macs.Put(mac)
	return dst
}

// Usable reports whether there is a key to sign with.
func (k *Keys) Usable() bool { return k != nil && k.current != nil }

// Seal appends the token of call to dst: base64url text, bound to call.Node, good until expires. Keys must be Usable.
//
// A call whose history has grown too long for a token carries on without it: the path and all legs but the last are
// left out.
func (k *Keys) Seal(dst []byte, call *Session, expires time.Time) []byte {
	var scratch [1024]byte
	e := encoder{scratch[:0]}
	e.token(k.current.id, expires, call)
	if base64.RawURLEncoding.EncodedLen(len(e.buf)+sha256.Size) > MaxTokenLength {
		short := *call
		short.Path = nil
		short.Legs = short.Legs[max(len(short.Legs)-1, 0):]
		e.buf = e.buf[:0]
		e.token(k.current.id, expires, &short)
	}
	e.buf = k.current.sum(e.buf, e.buf)
	return base64.RawURLEncoding.AppendEncode(dst, e.buf)
}

// Open reads a token into call. For TokenExpired and TokenOtherNode call is filled too (an end of call is accepted late).
func (k *Keys) Open(token []byte, node string, now time.Time, call *Session) TokenState {
	if k == nil || len(token) > MaxTokenLength {
		return TokenInvalid
	}
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(make([]byte, 0, base64.RawURLEncoding.DecodedLen(len(token))), token)
	if err != nil || len(raw) < 1+sha256.Size || raw[0] != tokenVersion {
		return TokenInvalid
	}
	message, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	d := decoder{rest: message[1:], good: true}
	key := k.keys[d.integer()]
	if !d.good || key == nil {
		return TokenInvalid
	}
	var expected [sha256.Size]byte
	if !hmac.Equal(key.sum(expected[:0], message), sum) {
		return TokenInvalid
	}
	expires := d.integer()
	owner := d.text()
	d.session(call)
	call.Node = owner
	switch {
	case !d.good || len(d.rest) > 0:
		return TokenInvalid
	case owner != node:
		return TokenOtherNode
	case now.Unix() > expires:
		return TokenExpired
	}
	return TokenGood
}

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
}

// decoder reads what encoder wrote. After the first fault good is false and everything reads as zero.
type decoder struct {
	rest []byte
	good bool
}

func (d *decoder) integer() int64 {
	n, length := binary.Varint(d.rest)
	if length <= 0 {
		d.good, d.rest = false, nil
		return 0
	}
	d.rest = d.rest[length:]
	return n
}

// count reads how many items follow; each has at least one byte.
func (d *decoder) count() int {
	n := d.integer()
	if n < 0 || n > int64(len(d.rest)) {
		d.good, d.rest = false, nil
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n, length := binary.Uvarint(d.rest)
	if length <= 0 || n > uint64(len(d.rest)-length) {
		d.good, d.rest = false, nil
		return ""
	}
	text := string(d.rest[length : length+int(n)])
	d.rest = d.rest[length+int(n):]
	return text
}

func (d *decoder) boolean() bool {
	if len(d.rest) == 0 {
		d.good = false
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
	length := d.count()
	c.Path = append(c.Path, d.rest[:length]...)
	d.rest = d.rest[length:]
	for range d.count() {
		c.Variables = append(c.Variables, Variable{d.text(), d.text()})
	}
	for range d.count() {
		c.Legs = append(c.Legs, Leg{
			Trunk: d.text(), Number: d.text(), Status: Status(d.integer()), DialStatus: d.text(),
			Cause: int(d.integer()), TalkMilliseconds: d.integer(),
		})
	}
	for range d.count() {
		c.Records = append(c.Records, Record{At: d.time(), Kind: d.text(), Text: d.text()})
	}
	for range d.count() {
		c.Targets = append(c.Targets, Target{Trunk: d.text(), Number: d.text(), Timeout: int(d.integer())})
	}
}
