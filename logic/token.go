package logic

import "time"

// TokenState says what came of opening a session token.
type TokenState uint8

const (
	TokenGood      TokenState = iota
	TokenInvalid              // not ours, or damaged
	TokenExpired              // ours, but too old
	TokenOtherNode            // ours, but given to another node
)

// Keys sign session tokens with HMAC-SHA-256 and check them. Safe for concurrent use.
type Keys struct{}

// Seal appends the token of call to dst: base64url text, bound to call.Node, good until expires.
func (k *Keys) Seal(dst []byte, call *Session, expires time.Time) []byte { return dst }

// Open reads a token into call. For TokenExpired and TokenOtherNode call is filled too (an end of call is accepted late).
func (k *Keys) Open(token []byte, node string, now time.Time, call *Session) TokenState {
	return TokenInvalid
}
