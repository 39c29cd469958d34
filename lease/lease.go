package lease

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// lease is what the process holds of one key of one limit, and how much of it is asked for. Spending takes no lock; everything
// else is under the mutex, which is never held while the store is asked.
type lease struct {
	id, key string
	hash    uint64

	current atomic.Pointer[block]
	beside  atomic.Int64 // what the store had left when it was last asked, and what next holds

	mu     sync.Mutex
	next   *block // to be spent when the current one is
	trip   *trip  // to the store, under way
	epoch  int64  // of what was asked before a block or a reset nothing is spent afterwards
	gone   bool   // out of the index
	remain int64  // what the store had left when it was last asked
	asked  int64  // when that was
	filled int64  // when the last block came
	size   int64  // of the next block; 0 for a key that is asked for too seldom
	cost   int64  // of the last call that the lease did not serve
	took   int64  // the last trip, in nanoseconds
}

// trip is units asked of the store.
type trip struct {
	n, more  int64 // for the caller, and for the lease
	coming   int64 // what is not promised to callers who wait for it
	promised int64 // what is
	sent     int64
	epoch    int64
	done     chan struct{} // closed when the units have come, or not

	// Set before done is closed: the block that came, nil if none did, and the units of it that callers who wait have before all others.
	block   *block
	kept    atomic.Int64
	waiting atomic.Int64 // callers who wait for what was promised
}

// promise promises n units to a caller who waits. The lease's mutex is held.
func (t *trip) promise(n int64) {
	t.coming -= n
	t.promised += n
	t.waiting.Add(1)
}

// collect takes n of the units that were kept; false if fewer came than were promised.
func (t *trip) collect(n int64) bool {
	for {
		kept := t.kept.Load()
		if kept < n {
			return false
		}
		if t.kept.CompareAndSwap(kept, kept-n) {
			return true
		}
	}
}

// leave ends a caller's wait, after the trip. The last one puts what nobody has collected into the block; it returns the units that are
// lost, since that is out of use.
func (t *trip) leave() (lost int64) {
	if t.waiting.Add(-1) > 0 || t.block == nil {
		return 0
	}
	if kept := t.kept.Swap(0); kept > 0 && !t.block.putBack(kept) {
		return kept
	}
	return 0
}

// spend takes n units out of the current block, or returns nil.
func (r *lease) spend(l *stint.Limit, n, now int64) (b *block, left int64) {
	b = r.current.Load()
	if b == nil || !b.lives(now) || b.limit != l && !same(b.limit, l) {
		return nil, 0
	}
	left, ok := b.take(n)
	if !ok {
		return nil, 0
	}
	return b, left
}

// holds is how many units may be spent. The mutex is held.
func (r *lease) holds(now int64) int64 { return r.current.Load().holds(now) + r.next.holds(now) }

// reckon keeps beside up to date.
func (r *lease) reckon(now int64) { r.beside.Store(r.remain + r.next.holds(now)) }

// learn notes what the store answered.
func (r *lease) learn(a stint.Answer, m stint.Mark, now int64) {
	r.remain, r.asked = max(0, a.Remaining), now
	if blocked(m) || degraded(m) {
		r.remain, r.size = 0, 0
	}
	r.reckon(now)
}

// nearby is the part of what the store has left, an eighth, that one process may hold. So the last units go one by one to
// whoever asks.
const nearby = 8

// quickly is the part of a lease's life, a quarter, within which a block must be used up for the next one to be larger.
const quickly = 4

// depart begins a trip for n units now and more for later, or returns nil if the lease is to have none: if one is under way, the
// key is asked for too seldom, or the store has few left. With n of 0 all of it is for later. most is how many units are held at most.
func (r *lease) depart(n, now int64, life time.Duration, most int64) *trip {
	soon := int64(life) / quickly
	size := r.size
	switch {
	case r.trip != nil:
		return nil
	case size == 0 && now-r.asked <= soon:
		size = r.cost
	case now-r.filled <= soon:
		size *= 2
	}
	size = min(size, most)
	more := min(size-r.holds(now), r.remain/nearby)
	if more < max(1, r.cost) {
		return nil
	}
	r.size = size
	r.trip = &trip{n: n, more: more, coming: more, sent: now, epoch: r.epoch, done: make(chan struct{})}
	return r.trip
}

// install puts a block to use, and returns one that has to make room for it.
func (r *lease) install(b *block, now int64) (out *block) {
	r.filled = now
	switch {
	case r.current.Load().holds(now) == 0:
		out = r.current.Swap(b)
	default:
		out, r.next = r.next, b
	}
	r.reckon(now)
	return out
}

// shrink makes the next block as large as what was spent of one that was not used up.
func (r *lease) shrink(b *block, left int64) { r.size = min(r.size, b.units-left) }

// clear takes every block out of the lease, and lets none in that is on its way.
func (r *lease) clear(now int64) (out [2]*block) {
	r.epoch++
	out = [2]*block{r.current.Swap(nil), r.next}
	r.next = nil
	r.reckon(now)
	return out
}

// blocked says whether the answer is that of a blocked key.
func blocked(m stint.Mark) bool { return m == m.Blocked() }

// degraded says whether the answer was given without the store, so that nothing was charged there.
func degraded(m stint.Mark) bool { return m == m.Degraded() || m == m.Unknown() }

// look says what a take of n units would, from the lease alone; false if it does not hold as many.
func (r *lease) look(l *stint.Limit, n, now int64) (stint.Answer, stint.Mark, bool) {
	b := r.current.Load()
	if b == nil || !b.lives(now) || !same(b.limit, l) {
		return stint.Answer{}, 0, false
	}
	left := b.left.Load()
	if left < n {
		return stint.Answer{}, 0, false
	}
	return b.answer(0, left+r.beside.Load(), now), b.mark, true
}
