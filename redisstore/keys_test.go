package redisstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stint-go/stint"
)

// Keys of one subject lie in one slot, whatever bytes they have; and no two things that are kept have one key.
func TestKeys(t *testing.T) {
	seen := map[string]string{}
	parts := []string{"a", "b", "{", "}", "{a}", "}{", ":", "r:", "v:", "\x00", "\x00\x01a", strings.Repeat("k", 300)}
	for _, id := range parts {
		for _, subject := range parts {
			first := slot(recordKey(id, stint.Key(subject, "x")))
			for _, more := range parts {
				key := recordKey(id, stint.Key(subject, more))
				if slot(key) != first {
					t.Errorf("%q of %q lies in another slot", more, subject)
				}
				for what, k := range map[string]string{
					"record":  key,
					"receipt": receiptKey(id, stint.Key(subject, more), 7),
				} {
					name := fmt.Sprintf("%s %q %q %q", what, id, subject, more)
					if other, known := seen[k]; known && other != name {
						t.Errorf("%s and %s have one key %q", name, other, k)
					}
					seen[k] = name
				}
			}
		}
		if k := valuesKey(id, 7); seen[k] != "" {
			t.Errorf("the values of %q have the key of %s", id, seen[k])
		}
	}
}

// The slot is that of a Cluster: CRC-16/XMODEM of the tag, modulo 16,384. The first value is by another implementation; that a
// Cluster agrees the kit shows, which runs on one.
func TestSlots(t *testing.T) {
	if got := slot("stint:{0123456789abcdef}:x"); got != 10405 {
		t.Errorf("slot %d, want 10405", got)
	}
}
