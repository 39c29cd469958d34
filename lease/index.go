package lease

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// index finds the lease of a key of a limit. Finding takes no lock; a lease is added and removed under the mutex. It is a table
// with linear probing, whose removed places are marked and cleared when the table is made anew.
type index struct {
	seed maphash.Seed
	most int

	mu     sync.Mutex
	table  atomic.Pointer[[]atomic.Pointer[lease]]
	leases int  // in the table
	taken  int  // places that are not empty
	kept   bool // a keeper looks after the leases
}

// removed marks the place of a lease that was removed. No key has it: its limit has no ID.
var removed = new(lease)

const leastTable = 64

func (x *index) init(most int) {
	x.seed, x.most = maphash.MakeSeed(), most
	t := make([]atomic.Pointer[lease], leastTable)
	x.table.Store(&t)
}

// hash is the key's hash under the limit's ID.
func (x *index) hash(id, key string) uint64 {
	h := maphash.String(x.seed, id)
	return maphash.String(x.seed, key) ^ (h<<32 | h>>32)
}

// find returns the key's lease, or nil.
func (x *index) find(h uint64, id, key string) *lease {
	t := *x.table.Load()
	for i := h; ; i++ {
		r := t[i&uint64(len(t)-1)].Load()
		if r == nil {
			return nil
		}
		if r.hash == h && r.key == key && r.id == id {
			return r
		}
	}
}

// add returns the key's lease, a new one if there is none; nil at the bound. The caller starts a keeper if there is to be one.
func (x *index) add(h uint64, id, key string) (r *lease, keeper bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.find(h, id, key); r != nil {
		return r, false
	}
	if x.leases >= x.most {
		return nil, false
	}
	if t := *x.table.Load(); 4*(x.taken+1) > 3*len(t) {
		x.rebuild()
	}
	r = &lease{id: id, key: strings.Clone(key), hash: h} // the caller's key may be a part of something large
	put(*x.table.Load(), r)
	x.leases++
	x.taken++
	keeper = !x.kept
	x.kept = true
	return r, keeper
}

// rest says whether there is nothing to keep, and if so the keeper ends.
func (x *index) rest() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.kept = x.leases > 0
	return !x.kept
}

// remove takes a lease out.
func (x *index) remove(r *lease) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := *x.table.Load()
	for i := r.hash; ; i++ {
		p := &t[i&uint64(len(t)-1)]
		switch p.Load() {
		case nil:
			return
		case r:
			p.Store(removed)
			x.leases--
			return
		}
	}
}

// rebuild makes a table that is at most three eighths full.
func (x *index) rebuild() {
	size := leastTable
	for 3*size < 8*(x.leases+1) {
		size *= 2
	}
	t := make([]atomic.Pointer[lease], size)
	for r := range x.all {
		put(t, r)
	}
	x.taken = x.leases
	x.table.Store(&t)
}

func put(t []atomic.Pointer[lease], r *lease) {
	i := r.hash
	for t[i&uint64(len(t)-1)].Load() != nil {
		i++
	}
	t[i&uint64(len(t)-1)].Store(r)
}

// all yields the leases.
func (x *index) all(yield func(*lease) bool) {
	t := *x.table.Load()
	for i := range t {
		if r := t[i].Load(); r != nil && r != removed && !yield(r) {
			return
		}
	}
}

// porch remembers which keys were seen of late, a word each, so that a key that comes once costs nothing. Two keys that share a
// word make each other forgotten, or one of them a guest too early: neither does harm.
type porch []atomic.Uint64

func newPorch(keys int) porch {
	n := leastTable
	for n < keys {
		n *= 2
	}
	return make(porch, n)
}

// seen says whether the key came in this span of time or the one before, and remembers it.
func (p porch) seen(h uint64, span int64) bool {
	const spans = 0xff
	word := &p[h&uint64(len(p)-1)]
	now := h&^spans | uint64(span)&spans
	before := word.Load()
	if before != now {
		word.Store(now)
	}
	return before == now || before == h&^spans|uint64(span-1)&spans
}
