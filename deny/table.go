package deny

import (
	"math/bits"
	"sync/atomic"

	"github.com/stint-go/stint"
)

// table keeps entries in buckets of eight, a cache line each, by their hash. Nothing in it is ever locked: an entry is put in place
// by one store, and dropped by making its key older. Each cell of ages stands for the keys of some hashes, few since there are as
// many cells as entries; to drop the memory of one key more costs a round trip and nothing else.
//
// The age is read before the store is asked and compared when the entry is used. So a refusal that was on its way while the key
// was dropped is never used, however late it is put in place.
type table struct {
	buckets []bucket
	ages    []cell
	full    atomic.Int64 // entries that were put in the place of another that was still live
}

type bucket [8]atomic.Pointer[entry]

// age is how often keys of a cell were dropped, above the number of operations under way that may give them room. While there is
// one nothing is remembered: whoever has seen the room, in the store, must not be refused here.
type age uint64

// underWay is the part of an age that counts operations.
const underWay = 1<<16 - 1

func (a age) settled() bool { return a&underWay == 0 }

// cell keeps the age of some keys.
type cell struct{ now atomic.Uint64 }

func (c *cell) age() age { return age(c.now.Load()) }

// drop makes the keys older.
func (c *cell) drop() { c.now.Add(underWay + 1) }

// begin is told of an operation that may give room, and end of its end.
func (c *cell) begin() { c.now.Add(1) }

func (c *cell) end() { c.now.Add(underWay) } // one more drop, and one less under way

func (t *table) init(entries int) {
	n := 1 << bits.Len(uint(max(entries, len(bucket{}))-1))
	t.buckets, t.ages = make([]bucket, n/len(bucket{})), make([]cell, n)
}

func (t *table) bucket(hash uint64) *bucket { return &t.buckets[hash&uint64(len(t.buckets)-1)] }

func (t *table) cell(hash uint64) *cell { return &t.ages[hash>>32&uint64(len(t.ages)-1)] }

// same says whether two limits are one, with the same values: a policy that is read again brings others that are.
func same(a, b *stint.Limit) bool { return a == b || a.ID == b.ID && a.Variant() == b.Variant() }

// find is the key's entry, whether it is still live or not, or nil.
func (t *table) find(l *stint.Limit, hash uint64) *entry {
	b := t.bucket(hash)
	for i := range b {
		if e := b[i].Load(); e != nil && e.hash == hash && same(e.limit, l) && e.age == t.cell(hash).age() {
			return e
		}
	}
	return nil
}

// put puts the entry in the place of an older one of its key, of one that no longer holds, or of the one that ends first.
func (t *table) put(e *entry, now int64) {
	b := t.bucket(e.hash)
	place, ends := 0, int64(nothing)
	for i := range b {
		old := b[i].Load()
		switch {
		case old != nil && old.hash == e.hash && same(old.limit, e.limit):
			b[i].Store(e)
			return
		case old == nil || !old.live(now) || old.age != t.cell(old.hash).age():
			if ends >= 0 {
				place, ends = i, -1
			}
		case old.until < ends:
			place, ends = i, old.until
		}
	}
	if ends >= 0 {
		t.full.Add(1)
	}
	b[place].Store(e)
}

// held is how many entries are live.
func (t *table) held(now int64) int64 {
	n := int64(0)
	for i := range t.buckets {
		for k := range t.buckets[i] {
			if e := t.buckets[i][k].Load(); e != nil && e.live(now) && e.age == t.cell(e.hash).age() {
				n++
			}
		}
	}
	return n
}
