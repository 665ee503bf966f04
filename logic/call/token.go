package call

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
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
const tokenVersion = 2

// MinimumSecret is the fewest bytes that a key's secret may have.
const MinimumSecret = 32

// Key is a secret that signs session tokens.
type Key struct {
	ID        int64 // stands in the token
	Secret    []byte
	CreatedAt time.Time
}

// Keys sign session tokens with HMAC-SHA-256 (RFC 2104) and check them. Safe for concurrent use.
type Keys struct {
	keys    map[int64]*signers
	current *signers // nil: there is none
	text    *base64.Encoding
}

// signers are the signers of one key that nobody uses now.
type signers struct {
	id   int64
	pool sync.Pool
}

// signer is a ready-made HMAC with the memory it works in: starting one costs as much as using it.
type signer struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// NewKeys makes keys that sign with the newest and accept all. Secrets shorter than MinimumSecret are left out.
func NewKeys(keys []Key) *Keys {
	// Strict refuses text whose last character has bits that stand for nothing: one token has one spelling.
	made := &Keys{keys: make(map[int64]*signers, len(keys)), text: base64.RawURLEncoding.Strict()}
	var newest time.Time
	for _, key := range keys {
		if len(key.Secret) < MinimumSecret {
			continue
		}
		secret := slices.Clone(key.Secret)
		one := &signers{id: key.ID}
		one.pool.New = func() any { return &signer{mac: hmac.New(sha256.New, secret)} }
		made.keys[key.ID] = one
		if made.current == nil || key.CreatedAt.After(newest) || key.CreatedAt.Equal(newest) && key.ID > made.current.id {
			made.current, newest = one, key.CreatedAt
		}
	}
	return made
}

// sign leaves the HMAC of buf in sum.
func (s *signer) sign() {
	s.mac.Reset()
	s.mac.Write(s.buf)
	s.mac.Sum(s.sum[:0])
}

// Usable reports whether there is a key to sign with.
func (k *Keys) Usable() bool { return k != nil && k.current != nil }

// Seal appends the token of call to dst: base64url text, bound to call.Node, good until expires. Keys must be Usable.
//
// A call whose history has grown too long for a token carries on without it: the path is left out, and if that is not
// enough all legs but the last.
func (k *Keys) Seal(dst []byte, call *Session, expires time.Time) []byte {
	s := k.current.pool.Get().(*signer)
	e := encoder{s.buf[:0]}
	e.token(k.current.id, expires, call)
	if e.tooLong() {
		short := *call
		short.Path = nil
		e.buf = e.buf[:0]
		e.token(k.current.id, expires, &short)
		if e.tooLong() {
			short.Legs = short.Legs[max(len(short.Legs)-1, 0):]
			e.buf = e.buf[:0]
			e.token(k.current.id, expires, &short)
		}
	}
	s.buf = e.buf
	s.sign()
	s.buf = append(s.buf, s.sum[:]...)
	dst = base64.RawURLEncoding.AppendEncode(dst, s.buf)
	k.current.pool.Put(s)
	return dst
}

func (e *encoder) tooLong() bool {
	return base64.RawURLEncoding.EncodedLen(len(e.buf)+sha256.Size) > MaxTokenLength
}

// Open reads a token into call. For TokenExpired and TokenOtherNode call is filled too (an end of call is accepted late).
func (k *Keys) Open(token []byte, node string, now time.Time, call *Session) TokenState {
	if k == nil || len(token) > MaxTokenLength || bytes.IndexByte(token, '\n') >= 0 || bytes.IndexByte(token, '\r') >= 0 {
		return TokenInvalid // base64 would skip line ends, and a token has one spelling
	}
	var scratch [MaxTokenLength]byte
	raw, err := k.text.AppendDecode(scratch[:0], token)
	if err != nil || len(raw) < 1+sha256.Size || raw[0] != tokenVersion {
		return TokenInvalid
	}
	message, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	id, length := binary.Varint(message[1:])
	key := k.keys[id]
	if length <= 0 || key == nil || !key.signed(message, sum) {
		return TokenInvalid
	}
	// All texts of the session share the memory of one.
	d := decoder{rest: string(message[1+length:]), good: true}
	expires := d.integer()
	owner := d.text()
	d.session(call)
	call.Node = owner
	switch {
	case !d.good || d.rest != "":
		return TokenInvalid
	case owner != node:
		return TokenOtherNode
	case now.Unix() > expires:
		return TokenExpired
	}
	return TokenGood
}

// signed reports whether sum is the HMAC of message.
func (k *signers) signed(message, sum []byte) bool {
	s := k.pool.Get().(*signer)
	s.buf = append(s.buf[:0], message...)
	s.sign()
	good := hmac.Equal(s.sum[:], sum)
	k.pool.Put(s)
	return good
}
