package stint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fewer is n, or a tenth of it under the race detector.
func fewer(n int) int {
	if raceDetector {
		return n / 10
	}
	return n
}

// manual is a clock that a test sets.
type manual struct{ atomic.Int64 }

func newManual() *manual {
	c := &manual{}
	c.Store(1_700_000_000_000_000)
	return c
}

func (c *manual) advance(d time.Duration) { c.Add(int64(d / Tick)) }

func newTestMemory(t testing.TB, o MemoryOptions) (*Memory, *manual) {
	t.Helper()
	clock := newManual()
	o.Clock = clock.Load
	m, err := NewMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	return m, clock
}

func newTestLimiter(t testing.TB, m *Memory, limits ...Limit) *Limiter {
	t.Helper()
	l, err := NewWith(Options{Store: m}, limits...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// kinds are limits of three units, one for each kind of table.
func kinds() map[string]Limit {
	return map[string]Limit{
		"word":    {ID: "word", Units: 3, Per: time.Hour, Strategy: TokenBucket{}},
		"record":  {ID: "record", Units: 3, Per: time.Hour, Strategy: counter{}},
		"cells":   {ID: "cells", Units: 3, Per: time.Hour, Strategy: SlidingLog{}},
		"foreign": {ID: "foreign", Units: 3, Per: time.Hour, Strategy: counter{}},
	}
}

// counter is a strategy that is not ours: so many in all until an hour has passed since the last one.
type counter struct{}

func (counter) Name() string         { return "counter" }
func (counter) Words(*Limit) int     { return 2 }
func (counter) Compile(*Limit) error { return nil }
func (counter) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	if s.A <= now<<11 {
		s = State{}
	}
	left := l.Units - s.B
	switch {
	case op.Max == 0 || op.Max > 0 && op.Min > left:
		a := Answer{Remaining: max(left, 0)}
		if op.Min > left {
			a.Wait = max(1, s.A>>11-now)
		}
		return s, a
	case op.Max < 0:
		return State{}, Answer{Granted: s.B, Remaining: l.Units}
	}
	n := min(op.Max, left)
	return State{A: (now + l.Ticks()) << 11, B: s.B + n}, Answer{Granted: n, Remaining: left - n, Reset: l.Ticks()}
}

// Every key is granted exactly its units, whatever many callers do at once while the table grows.
func TestMemoryGrowsExactly(t *testing.T) {
	for name, limit := range kinds() {
		for _, exact := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/exact=%v", name, exact), func(t *testing.T) {
				m, _ := newTestMemory(t, MemoryOptions{ExactKeys: exact})
				l := newTestLimiter(t, m, limit)
				keys, callers := fewer(20_000), 4
				granted := make([]atomic.Int32, keys)
				var group sync.WaitGroup
				for caller := range callers {
					group.Go(func() {
						random := rand.New(rand.NewPCG(uint64(caller), 1))
						for _, k := range random.Perm(keys) {
							for range 2 {
								if l.Allow(fmt.Sprint("user ", k)) {
									granted[k].Add(1)
								}
							}
						}
					})
				}
				group.Wait()
				for k := range granted {
					if n := granted[k].Load(); n != 3 {
						t.Fatalf("key %d was granted %d of 3", k, n)
					}
				}
				if kept := m.Stats().Keys; kept != int64(keys) {
					t.Errorf("%d keys kept, want %d", kept, keys)
				}
			})
		}
	}
}

// Many callers that make one new key at once share it.
func TestMemoryMakesAKeyOnce(t *testing.T) {
	for name, limit := range kinds() {
		t.Run(name, func(t *testing.T) {
			m, _ := newTestMemory(t, MemoryOptions{})
			limit.Units = 1
			l := newTestLimiter(t, m, limit)
			for k := range fewer(2000) {
				var granted atomic.Int32
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						if l.Allow(fmt.Sprint(k)) {
							granted.Add(1)
						}
					})
				}
				group.Wait()
				if granted.Load() != 1 {
					t.Fatalf("new key %d was granted %d times", k, granted.Load())
				}
			}
		})
	}
}

// Memory follows the live keys down under any traffic, a call at a time.
func TestMemoryShrinks(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerSecond(10).WithBurst(10))
	keys := fewer(200_000)
	for k := range keys {
		l.Allow(fmt.Sprint(k))
	}
	peak := m.Stats().Bytes
	if perKey := peak / int64(keys); perKey > 40 {
		t.Errorf("%d bytes a key", perKey)
	}
	clock.advance(time.Minute)
	for range 20_000 {
		l.Allow("one key")
		clock.advance(2 * time.Millisecond)
	}
	if after := m.Stats(); after.Bytes > peak/20 || after.Keys > int64(keys)/20 {
		t.Errorf("%d bytes at the peak, %d bytes and %d keys after all but one key could be forgotten", peak, after.Bytes, after.Keys)
	}
	m.Compact()
	if after := m.Stats(); after.Bytes > 4096 {
		t.Errorf("%d bytes after Compact", after.Bytes)
	}
}

// A flood of new keys at the bound frees no key that was seen before, and memory stays flat.
func TestMemoryAtTheBound(t *testing.T) {
	for name, limit := range kinds() {
		t.Run(name, func(t *testing.T) {
			bound := int64(fewer(20_000))
			m, clock := newTestMemory(t, MemoryOptions{MaxKeys: bound})
			limit.Units = 10
			l := newTestLimiter(t, m, limit)
			heavy := make([]string, fewer(500)) // few beside the sketch, so that a newcomer does not meet them
			for i := range heavy {
				heavy[i] = fmt.Sprint("heavy ", i)
				if !l.AllowN(heavy[i], 10) {
					t.Fatal("a new key was refused")
				}
			}
			var flat int64
			for k := range int(bound) * 20 {
				l.Allow(fmt.Sprint("flood ", k))
				clock.advance(100 * time.Microsecond)
				if k == int(bound)*5 {
					flat = m.Stats().Bytes
					d, err := l.Take(context.Background(), "newcomer", 1)
					if err != nil || !d.Allowed || !d.Approximate {
						t.Errorf("a newcomer: %+v, %v; want allowed and approximate", d, err)
					}
				}
			}
			for _, key := range heavy {
				if d, _ := l.Take(context.Background(), key, 5); d.Allowed {
					t.Fatalf("%s was granted again during the flood", key)
				}
			}
			s := m.Stats()
			if s.Bytes > flat*5/4+64<<10 { // a step or two of a small table
				t.Errorf("memory grew from %d to %d bytes at the bound", flat, s.Bytes)
			}
			if s.Keys > bound+bound/20 {
				t.Errorf("%d keys kept, bound %d", s.Keys, bound)
			}
			if s.Evicted == 0 {
				t.Error("no eviction was counted")
			}
		})
	}
}

func TestMemoryRefusesAtTheBound(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{MaxKeys: 2000, AtBound: Refuse})
	l := newTestLimiter(t, m, PerHour(5).WithBurst(5))
	refused := 0
	for k := range 5000 {
		if _, err := l.Take(context.Background(), fmt.Sprint(k), 5); errors.Is(err, ErrFull) {
			refused++
		}
	}
	if refused == 0 || m.Stats().Refused == 0 {
		t.Error("no new key was refused at the bound")
	}
	clock.advance(2 * time.Hour)
	for k := range 1000 {
		if d, err := l.Take(context.Background(), fmt.Sprint("later ", k), 1); err != nil || !d.Allowed {
			t.Fatalf("a new key after the others could be forgotten: %+v, %v", d, err)
		}
	}
}

// Several claims are granted together or not at all, in any order, at the same time as single ones.
func TestMemoryAllOrNothing(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	l, err := NewWith(Options{Store: m})
	if err != nil {
		t.Fatal(err)
	}
	var limits []*Limit
	for _, limit := range kinds() {
		limit.Units = 1000
		c, err := limit.Compile()
		if err != nil {
			t.Fatal(err)
		}
		limits = append(limits, c)
	}
	var granted atomic.Int64
	var group sync.WaitGroup
	for caller := range 4 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 7))
			for range fewer(10_000) / 5 {
				claims := make([]Claim, 0, len(limits))
				for _, i := range random.Perm(len(limits)) {
					claims = append(claims, NewClaim(limits[i], "k", 1))
				}
				d, err := l.TakeAll(context.Background(), claims, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if d.Allowed {
					granted.Add(1)
				}
			}
		})
	}
	group.Wait()
	want := min(1000, int64(fewer(10_000)/5*4))
	if granted.Load() != want {
		t.Errorf("%d calls were granted, want %d", granted.Load(), want)
	}
	for _, limit := range limits {
		d, err := l.PeekAll(context.Background(), []Claim{NewClaim(limit, "k", 1)}, nil)
		if err != nil || d.Remaining != 1000-want {
			t.Errorf("%s: remaining %d, want %d, error %v", limit.ID, d.Remaining, 1000-want, err)
		}
	}
}

// A call that one limit refuses leaves the others as they were, and makes no keys.
func TestMemoryRefusalsAreFree(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(10).WithBurst(10).WithID("wide"), PerHour(2).WithBurst(2).WithID("narrow"))
	ctx := context.Background()
	if d, err := l.Take(ctx, "k", 3); err != nil || d.Allowed || d.By.ID != "narrow" || d.Reason != TooMuch {
		t.Fatalf("%+v, %v", d, err)
	}
	if keys := m.Stats().Keys; keys != 0 {
		t.Errorf("a refusal made %d keys", keys)
	}
	for range 5 {
		l.Take(ctx, "k", 1)
	}
	wide := l.Limits()[0]
	d, err := l.PeekAll(ctx, []Claim{NewClaim(wide, "k", 1)}, nil)
	if err != nil || d.Remaining != 8 {
		t.Errorf("remaining %d of the wide limit, want 8 (%v)", d.Remaining, err)
	}
}

func TestMemorySnapshot(t *testing.T) {
	ctx := context.Background()
	for name, limit := range kinds() {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "counts")
			clock := newManual()
			open := func() (*Memory, *Limiter) {
				t.Helper()
				m, err := NewMemory(MemoryOptions{SnapshotFile: file, SnapshotEvery: time.Hour, Clock: clock.Load})
				if err != nil {
					t.Fatal(err)
				}
				return m, newTestLimiter(t, m, limit)
			}
			m, l := open()
			for k := range 3000 {
				for range k % 4 {
					l.Allow(fmt.Sprint(k))
				}
			}
			if err := l.Block(ctx, "7", time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if l.Allow("0") {
				t.Error("granted after Close")
			}
			m, l = open()
			for k := range 3000 {
				d, err := l.Peek(ctx, fmt.Sprint(k), 1)
				want := int64(3 - k%4)
				if k == 7 {
					want = 0
				}
				if err != nil || d.Remaining != want {
					t.Fatalf("key %d: remaining %d after the restart, want %d (%v)", k, d.Remaining, want, err)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			// A snapshot of a limit that nobody asks for is kept.
			m, _ = open()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			_, l = open()
			if d, _ := l.Peek(ctx, "3", 1); d.Remaining != 0 {
				t.Errorf("remaining %d after an idle restart, want 0", d.Remaining)
			}
		})
	}
}

// Every way to damage a snapshot is told, and nothing of it is loaded.
func TestMemoryDamagedSnapshot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counts")
	m, err := NewMemory(MemoryOptions{SnapshotFile: file})
	if err != nil {
		t.Fatal(err)
	}
	newTestLimiter(t, m, PerHour(3)).Allow("k")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600: the snapshot holds the seed", info.Mode())
	}
	step := 1
	if raceDetector {
		step = 7
	}
	check := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *SnapshotError
		if _, err := NewMemory(MemoryOptions{SnapshotFile: file}); !errors.As(err, &damaged) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for n := 0; n < len(whole); n += step {
		check(fmt.Sprint("truncated to ", n), whole[:n])
		broken := append([]byte(nil), whole...)
		broken[n] ^= 0x10
		check(fmt.Sprint("bit flipped at ", n), broken)
	}
	check("longer", append(append([]byte(nil), whole...), 0))
}

// The values of a limit change under its keys: no reset, no gain by going back and forth.
func TestMemoryLimitChange(t *testing.T) {
	ctx := context.Background()
	m, clock := newTestMemory(t, MemoryOptions{})
	a := Limit{ID: "x", Units: 100, Per: time.Hour, Strategy: TokenBucket{}}
	b := Limit{ID: "x", Units: 10, Per: time.Minute, Strategy: SlidingLog{}}
	l := newTestLimiter(t, m, a)
	if !l.AllowN("k", 50) {
		t.Fatal("refused")
	}
	total := int64(0)
	for i := range 200 {
		limit := a
		if i%2 == 0 {
			limit = b
		}
		if err := l.SetLimits(limit); err != nil {
			t.Fatal(err)
		}
		d, err := l.Peek(ctx, "k", 1)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && d.Remaining != 5 {
			t.Errorf("remaining %d of 10 after half was used, want 5", d.Remaining)
		}
		got, err := l.TakeUpTo(ctx, "k", 100)
		if err != nil {
			t.Fatal(err)
		}
		total += got.Granted
		clock.advance(time.Millisecond)
	}
	if total > 50 {
		t.Errorf("%d units granted by going back and forth", total)
	}
	full, _ := l.Peek(ctx, "fresh", 1)
	if full.Remaining != full.Limit {
		t.Errorf("a new key has %d of %d", full.Remaining, full.Limit)
	}
}

// Two sets of values side by side, as in a rolling deploy, never grant more than the looser one.
func TestMemoryTwoVersionsAtOnce(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	a := newTestLimiter(t, m, Limit{ID: "x", Units: 1000, Per: time.Hour, Strategy: TokenBucket{}})
	b := newTestLimiter(t, m, Limit{ID: "x", Units: 500, Per: time.Hour, Strategy: TokenBucket{}})
	var granted atomic.Int64
	var group sync.WaitGroup
	for _, l := range []*Limiter{a, b, a, b} {
		group.Go(func() {
			for range 1000 {
				if l.Allow("k") {
					granted.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := granted.Load(); n > 1000 || n < 500 {
		t.Errorf("%d granted by 1000/hour and 500/hour together", n)
	}
	a.Allow("other")
}

func TestMemoryClockOutOfRange(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(3))
	for _, at := range []int64{-1, -1 << 60, MaxInstant + 1, 1 << 62} {
		clock.Store(at)
		if _, err := l.Take(context.Background(), "k", 1); !errors.Is(err, ErrClock) {
			t.Errorf("clock at %d: %v", at, err)
		}
	}
}

func TestMemoryHashTellsKeysApart(t *testing.T) {
	s := newSeed()
	seen := map[uint64]string{}
	add := func(key string) {
		h := s.hash(key)
		if other, ok := seen[h]; ok && other != key {
			t.Fatalf("%q and %q meet", key, other)
		}
		seen[h] = key
	}
	for n := range 64 {
		zeros := make([]byte, n)
		add(string(zeros))
		for i := range zeros {
			for bit := range 8 {
				zeros[i] = 1 << bit
				add(string(zeros))
			}
			zeros[i] = 0
		}
	}
	for i := range fewer(1_000_000) {
		add(fmt.Sprint(i))
	}
}

func TestMemoryAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Log("allocations are counted only without the race detector")
		return
	}
	m, err := NewMemory(MemoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name, limit := range kinds() {
		l := newTestLimiter(t, m, limit)
		two := newTestLimiter(t, m, limit, PerHour(5).WithBurst(5))
		for what, call := range map[string]func(){
			"Allow":           func() { l.Allow("k") },
			"Take":            func() { l.Take(ctx, "k", 1) },
			"Peek":            func() { l.Peek(ctx, "k", 1) },
			"AllowAt":         func() { l.AllowAt("k", 1, l.Now()) },
			"two limits":      func() { two.Take(ctx, "k", 1) },
			"refused for all": func() { l.AllowN("k", 1000) },
		} {
			if n := testing.AllocsPerRun(100, call); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, what, n)
			}
		}
	}
}

// embedded has a built-in strategy's methods and is none of ours.
type embedded struct{ TokenBucket }

func (embedded) Name() string { return "embedded" }

func TestEmbeddedStrategyIsNotOurs(t *testing.T) {
	m, _ := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, Limit{Units: 3, Per: time.Hour, Strategy: embedded{}})
	if l.Limits()[0].builtin {
		t.Error("a type that embeds a built-in strategy is taken for it")
	}
	for i := range 4 {
		if l.Allow("k") != (i < 3) {
			t.Errorf("call %d decided wrongly", i)
		}
	}
}
