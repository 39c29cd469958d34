package stint

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// Keys whose hashes meet have counts of their own with ExactKeys: while the table grows, when the limit changes, over a restart.
func TestMemoryExactKeysThatMeet(t *testing.T) {
	for name, limit := range kinds() {
		t.Run(name, func(t *testing.T) {
			clock := newManual()
			o := MemoryOptions{ExactKeys: true, Clock: clock.Load, SnapshotFile: filepath.Join(t.TempDir(), "f")}
			m, err := NewMemory(o)
			if err != nil {
				t.Fatal(err)
			}
			// A key that begins with this part of the seed has the hash 1, whatever follows.
			m.seed[3] = binary.LittleEndian.Uint64([]byte("aaaaaaaa"))
			meeting := func(k int) string { return fmt.Sprintf("aaaaaaaa%08d", k) }
			if m.seed.hash(meeting(1)) != m.seed.hash(meeting(2)) {
				t.Fatal("the hashes do not meet")
			}
			l := newTestLimiter(t, m, limit)
			for k := range 4000 {
				l.Allow(fmt.Sprint(k))
				if k%100 == 0 {
					l.AllowN(meeting(k/100), int64(k/100%3)+1)
				}
			}
			check := func(what string, l *Limiter) {
				t.Helper()
				for k := range 40 {
					d, err := l.Peek(context.Background(), meeting(k), 1)
					if err != nil || d.Remaining != int64(2-k%3) {
						t.Fatalf("%s: key %d has %d left, want %d (%v)", what, k, d.Remaining, 2-k%3, err)
					}
				}
			}
			check("grown", l)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if m, err = NewMemory(o); err != nil {
				t.Fatal(err)
			}
			l = newTestLimiter(t, m, limit)
			check("restarted", l)
			limit.Per += time.Minute
			if name == "word" {
				limit.OnChange = CarryUnits
			}
			changed := newTestLimiter(t, m, limit)
			check("changed", changed)
			for k := range 40 {
				changed.AllowN(meeting(k), 1)
				if d, _ := changed.Peek(context.Background(), meeting(k), 1); d.Remaining != max(0, int64(1-k%3)) {
					t.Fatalf("key %d has %d left after it moved", k, d.Remaining)
				}
			}
		})
	}
}
