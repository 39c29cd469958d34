package record

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/stint-go/stint"
)

// MaxKey is the length of the longest key that AppendKey makes.
const MaxKey = 200

// AppendKey appends the bytes under which the record of a key of a limit is kept. Different limits and keys never make the same
// bytes: the limit's ID comes with its length, then the key as [stint.Key] made it. What would be longer than MaxKey is a zero
// byte, with which no ID begins, and the first 16 bytes of its SHA-256.
func AppendKey(to []byte, limitID, key string) []byte {
	start := len(to)
	to = binary.AppendUvarint(to, uint64(len(limitID)))
	to = append(to, limitID...)
	to = append(to, key...)
	if len(to)-start <= MaxKey {
		return to
	}
	sum := sha256.Sum256(to[start:])
	return append(append(to[:start], 0), sum[:16]...)
}

// Subject is the first part of a key: who is counted, whatever the limit. A store in several places keeps a subject's records in
// one, so that calls with several claims on it find them together.
func Subject(key string) string {
	if parts := stint.KeyParts(key); len(parts) > 0 {
		return parts[0]
	}
	return key
}
