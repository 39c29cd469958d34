package stint

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// versions are two sets of values of one limit, of which each key is counted under one at a time.
func versions(s Strategy) (a, b Limit) {
	a = Limit{ID: "x", Units: 10, Per: time.Hour, Strategy: s}
	b = a
	b.Per = 2 * time.Hour
	return a, b
}

// saveWhile writes a snapshot to the store's file, and does something each time that a piece of it goes out.
func saveWhile(t *testing.T, m *Memory, each func()) {
	t.Helper()
	var snapshot bytes.Buffer
	err := m.writeSnapshot(writer(func(p []byte) (int, error) {
		each()
		return snapshot.Write(p)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.options.SnapshotFile, snapshot.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// left is how many units the two limiters grant together.
func left(a, b *Limiter, key string) int {
	n := 0
	for range 20 {
		for _, l := range []*Limiter{a, b} {
			if l.Allow(key) {
				n++
			}
		}
	}
	return n
}

// A key that goes over to other values of its limit while a snapshot is being written is in it once, whichever way it goes and
// wherever the writing is.
func TestMemorySnapshotOfMovingKeys(t *testing.T) {
	for _, s := range []Strategy{TokenBucket{}, IntervalBucket{}, SlidingLog{}} {
		for _, exact := range []bool{false, true} {
			if _, word := s.(TokenBucket); exact && (!word || raceDetector) {
				continue
			}
			for name, c := range map[string]struct {
				both  bool // values are in use before the snapshot
				moves func(first, second *Limiter, keys []string)
			}{
				"to those that are written later":   {true, func(_, second *Limiter, keys []string) { allow(second, keys) }},
				"to those that came meanwhile":      {false, func(_, second *Limiter, keys []string) { allow(second, keys) }},
				"there and back":                    {true, func(first, second *Limiter, keys []string) { allow(second, keys); allow(first, keys) }},
				"to those that are written earlier": {true, nil},
			} {
				t.Run(fmt.Sprint(s.Name(), " ", exact, " ", name), func(t *testing.T) {
					clock := newManual()
					o := MemoryOptions{SnapshotFile: filepath.Join(t.TempDir(), "f"), Clock: clock.Load, ExactKeys: exact}
					m, err := NewMemory(o)
					if err != nil {
						t.Fatal(err)
					}
					one, other := versions(s)
					first, second := newTestLimiter(t, m, one), newTestLimiter(t, m, other)
					for k := range 5200 { // so many that the file is written in more than one piece
						first.Allow(fmt.Sprint("rest", k))
					}
					if c.both {
						second.Allow("any")
					}
					keys := make([]string, 50)
					for i := range keys {
						keys[i] = fmt.Sprint("moving", i)
						if c.moves == nil {
							second.AllowN(keys[i], 8)
						} else {
							first.AllowN(keys[i], 8)
						}
					}
					moved := 0
					saveWhile(t, m, func() {
						if moved++; moved != 1 {
							return
						}
						if c.moves == nil {
							allow(first, keys)
						} else {
							c.moves(first, second, keys)
						}
					})
					restored, err := NewMemory(o)
					if err != nil {
						t.Fatal(err)
					}
					defer restored.Close()
					defer m.Close()
					first, second = newTestLimiter(t, restored, one), newTestLimiter(t, restored, other)
					for _, key := range keys {
						if n := left(first, second, key); n > 2 {
							t.Fatalf("%s: %d units left after the restart, at most 2 before it", key, n)
						}
					}
					if n := left(first, second, "rest7"); n != 9 {
						t.Errorf("a key that did not move: %d units left, want 9", n)
					}
				})
			}
		}
	}
}

func allow(l *Limiter, keys []string) {
	for _, k := range keys {
		l.Allow(k)
	}
}

// The same with callers that move keys all the time, and keys that are reset.
func TestMemorySnapshotUnderMoves(t *testing.T) {
	ctx := context.Background()
	clock := newManual()
	o := MemoryOptions{SnapshotFile: filepath.Join(t.TempDir(), "f"), Clock: clock.Load, SnapshotEvery: time.Hour}
	m, err := NewMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	one, other := versions(TokenBucket{})
	limiters := []*Limiter{newTestLimiter(t, m, one), newTestLimiter(t, m, other)}
	const keys = 200
	for k := range keys {
		limiters[k%2].AllowN(fmt.Sprint(k), 10)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for g := range 2 {
		group.Go(func() {
			for i := g; ; i += 2 {
				select {
				case <-stop:
					return
				default:
				}
				// Never more than a unit is free, whoever counts.
				key, l := fmt.Sprint(i%keys), limiters[i/keys%2]
				if err := l.Credit(ctx, key, 1); err != nil {
					t.Error(err)
				}
				l.Allow(key)
			}
		})
	}
	for range fewer(20) {
		if err := m.Save(); err != nil {
			t.Fatal(err)
		}
		restored, err := NewMemory(o)
		if err != nil {
			t.Fatal(err)
		}
		a, b := newTestLimiter(t, restored, one), newTestLimiter(t, restored, other)
		for k := range keys {
			if n := left(a, b, fmt.Sprint(k)); n > 1 {
				t.Fatalf("key %d: %d units left after the restart, at most 1 before it", k, n)
			}
		}
		if err := restored.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
}

// More moves than can be remembered: the snapshot fails, so that the one before it stays.
func TestMemorySnapshotOfTooManyMoves(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	one, other := versions(TokenBucket{})
	first, second := newTestLimiter(t, m, one), newTestLimiter(t, m, other)
	second.Allow("any")
	keys := make([]string, 9000)
	for k := range keys {
		keys[k] = fmt.Sprint(k)
	}
	allow(first, keys)
	pieces := 0
	err := m.writeSnapshot(writer(func(p []byte) (int, error) {
		if pieces++; pieces == 1 {
			m.moves.Load().most = 5
			allow(second, keys[:5])
		}
		return len(p), nil
	}))
	if err != nil {
		t.Fatalf("as many moves as can be remembered: %v", err)
	}
	pieces = 0
	err = m.writeSnapshot(writer(func(p []byte) (int, error) {
		if pieces++; pieces == 1 {
			m.moves.Load().most = 5
			allow(second, keys[5:11])
		}
		return len(p), nil
	}))
	if err == nil {
		t.Fatal("one more is written as if it were not")
	}
}
