package stint

import (
	"encoding/binary"
	"strings"
)

// Key makes one key out of parts, so that different parts never make the same key: Key("a", "b/c") is not Key("a/b", "c"),
// and Key("", "") is not Key(""). One part is its own key, so Key("a") is "a". Use it whenever a part comes from outside.
func Key(parts ...string) string {
	if len(parts) == 1 && !strings.HasPrefix(parts[0], tuplePrefix) {
		return parts[0]
	}
	size := len(tuplePrefix)
	for _, part := range parts {
		size += binary.MaxVarintLen32 + len(part)
	}
	key := append(make([]byte, 0, size), tuplePrefix...)
	for _, part := range parts {
		key = binary.AppendUvarint(key, uint64(len(part)))
		key = append(key, part...)
	}
	return string(key)
}

// tuplePrefix begins the key of a tuple. A single part that begins like it is made a tuple of one.
const tuplePrefix = "\x00"

// KeyParts is the inverse of Key. A key that Key could not have made is one part, itself.
func KeyParts(key string) []string {
	if !strings.HasPrefix(key, tuplePrefix) {
		return []string{key}
	}
	var parts []string
	for rest := []byte(key[len(tuplePrefix):]); len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return []string{key}
		}
		parts = append(parts, string(rest[size:size+int(n)]))
		rest = rest[size+int(n):]
	}
	if Key(parts...) != key {
		return []string{key}
	}
	return parts
}
