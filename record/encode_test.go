package record_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// extreme is any number, the ends of the range among them.
func extreme(random *rand.Rand) int64 {
	switch random.IntN(5) {
	case 0:
		return 0
	case 1:
		return math.MaxInt64 - random.Int64N(3)
	case 2:
		return math.MinInt64 + random.Int64N(3)
	}
	return random.Int64() >> random.IntN(64)
}

func randomRecord(random *rand.Rand) record.Record {
	r := record.Record{Variant: random.Uint64(), Blocked: extreme(random), Reset: extreme(random)}
	r.State = stint.State{A: extreme(random), B: extreme(random), C: extreme(random)}
	if random.IntN(2) == 0 {
		pairs := make([]stint.Pair, random.IntN(20))
		for i := range pairs {
			pairs[i] = stint.Pair{At: extreme(random), Units: extreme(random)}
		}
		r.State.Log = stint.CellsOf(pairs)
	}
	return r
}

// same compares records, cells by what is in them.
func same(a, b record.Record) bool {
	cells := (a.State.Log == nil) == (b.State.Log == nil) && slices.Equal(a.State.Log.Pairs(), b.State.Log.Pairs())
	a.State.Log, b.State.Log = nil, nil
	return cells && a == b
}

func TestBytesAreTheRecord(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		r := randomRecord(random)
		if random.IntN(4) == 0 {
			r.State = stint.State{A: r.State.A}
		}
		if got, err := record.Parse(r.Append(nil)); err != nil || !same(got, r) {
			t.Fatalf("wrote %+v, read %+v, %v", r, got, err)
		}
		s := stint.State{A: r.State.A, B: r.State.B, C: r.State.C}
		if err := record.ParseCells(record.AppendCells(nil, r.State), &s); err != nil || !same(record.Record{State: s}, record.Record{State: r.State}) {
			t.Fatalf("wrote the cells of %+v, read %+v, %v", r.State, s, err)
		}
	}
	if r, err := record.Parse(nil); err != nil || !same(r, record.Record{}) {
		t.Fatalf("nothing is %+v, %v", r, err)
	}
}

// A record of which a part is lost or changed is an error, never another record and never a new key.
func TestDamageIsAnError(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		r := randomRecord(random)
		data, cells := r.Append(nil), record.AppendCells(nil, r.State)
		for i := range data {
			if i > 0 {
				if _, err := record.Parse(data[:i]); !errors.Is(err, record.ErrDamaged) {
					t.Fatalf("%d of %d bytes: %v", i, len(data), err)
				}
			}
			changed := bytes.Clone(data)
			changed[i] ^= 1 << random.IntN(8)
			if _, err := record.Parse(changed); err == nil {
				t.Fatalf("byte %d of %d changed: no error", i, len(data))
			}
		}
		for i := 1; i < len(cells); i++ {
			s := r.State
			if err := record.ParseCells(cells[:i], &s); !errors.Is(err, record.ErrDamaged) {
				t.Fatalf("%d of %d bytes of cells: %v", i, len(cells), err)
			}
		}
		if _, err := record.Parse(append(bytes.Clone(data), 0)); !errors.Is(err, record.ErrDamaged) {
			t.Fatalf("a byte more: %v", err)
		}
		if data[0]++; len(data) > 1 {
			if _, err := record.Parse(data); !errors.Is(err, record.ErrFormat) {
				t.Fatalf("format %d: %v", data[0], err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		r := randomRecord(random)
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := record.Parse(data)
		if err != nil || len(data) == 0 {
			return
		}
		if again, err := record.Parse(r.Append(nil)); err != nil || !same(again, r) {
			t.Fatalf("%x reads as %+v and, written again, as %+v, %v", data, r, again, err)
		}
	})
}

func TestKeysNeverMeet(t *testing.T) {
	ids := []string{"a", "ab", "a\x01", "\x01", "\x00", strings.Repeat("i", 127), strings.Repeat("i", 128), strings.Repeat("i", 1024)}
	keys := []string{
		"b", "", "\x00", "ab", "\x01a", "a\x01b", stint.Key("a", "b"), stint.Key("", ""), stint.Key("ab", ""), stint.Key("a"),
		strings.Repeat("k", 190), strings.Repeat("k", 200), strings.Repeat("k", 201), strings.Repeat("k", 100_000), strings.Repeat("k", 100_000) + "x",
	}
	seen := map[string][2]string{}
	for _, id := range ids {
		for _, key := range keys {
			made := string(record.AppendKey([]byte("x"), id, key)[1:])
			if other, known := seen[made]; known {
				t.Errorf("%.20q of %.20q and %.20q of %.20q make the same key", key, id, other[1], other[0])
			}
			if seen[made] = [2]string{id, key}; len(made) > record.MaxKey {
				t.Errorf("%.20q of %.20q makes a key of %d bytes", key, id, len(made))
			}
		}
	}
	// No key that is kept as it is can be made to look like the hash of a long one.
	long := record.AppendKey(nil, "a", strings.Repeat("k", 500))
	if len(long) != 17 || long[0] != 0 {
		t.Errorf("a long key is kept as %x", long)
	}
}

func TestSubject(t *testing.T) {
	for key, want := range map[string]string{"alice": "alice", stint.Key("alice", "/x"): "alice", stint.Key("", "x"): "", "\x00": "\x00", "\x00zz": "\x00zz"} {
		if got := record.Subject(key); got != want {
			t.Errorf("the subject of %q is %q, want %q", key, got, want)
		}
	}
}
