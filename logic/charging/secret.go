package charging

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Secret asks whether a PIN is that of a card. Tries are budgeted per card, per caller and in all, whatever call, node or engine they come from.
type Secret struct {
	CallID, Node string
	Card         string // digits; the number of a card that may not exist
	PIN          string
	Caller       string // E.164 digits; empty: callers without a number share a budget
	Try          int    // counts the tries of one call, so that one sent twice counts once
}

// pinRounds makes guessing a PIN from a stolen row slower. A PIN of few digits has no other protection there, so the rows are nobody's to read.
const pinRounds = 10_000

// Lengths of what is stored of a PIN.
const (
	PINSaltLength = 16
	PINHashLength = sha256.Size
)

// HashPIN is what is stored of a PIN, after its salt: SHA-256 over salt and PIN, then over the result before, salt and PIN, 10,000 times in all. The SQL function
// pin_hash does the same.
func HashPIN(salt []byte, pin string) [PINHashLength]byte {
	buf := make([]byte, 0, PINHashLength+len(salt)+len(pin))
	buf = append(append(buf, salt...), pin...)
	sum := sha256.Sum256(buf)
	for range pinRounds - 1 {
		buf = append(append(append(buf[:0], sum[:]...), salt...), pin...)
		sum = sha256.Sum256(buf)
	}
	return sum
}

// MatchPIN reports whether a PIN is the stored one (salt and hash). It takes as long for a card that does not exist (stored is nil), so that the time does not tell
// which cards do.
func MatchPIN(stored []byte, pin string) bool {
	if len(stored) != PINSaltLength+PINHashLength {
		HashPIN(make([]byte, PINSaltLength), pin)
		return false
	}
	sum := HashPIN(stored[:PINSaltLength], pin)
	return subtle.ConstantTimeCompare(sum[:], stored[PINSaltLength:]) == 1
}
