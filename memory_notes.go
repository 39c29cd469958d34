package stint

import (
	"sync"
	"sync/atomic"
)

// notes are what a memory store remembers of keys besides their counts: blocks and resets (which void older receipts), both rare,
// and receipts that were used. Each has an end, and their number is bounded.
type notes struct {
	mu     sync.RWMutex
	keys   map[noteKey]note
	known  atomic.Int64 // len(keys)
	looked int64        // when all notes were last looked through

	receipts receipts
	turn     int // of the receipts' shards, under Memory.sweep
}

type noteKey struct{ id, key string }

type note struct {
	blocked int64 // until
	reset   int64 // at
	until   int64 // when the reset no longer matters
}

// maxNotes bounds the notes of either kind; that of receipts has a bound of its own.
const maxNotes = 1 << 20

// blockedUntil is the end of the key's block, or 0.
func (n *notes) blockedUntil(id, key string) int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.keys[noteKey{id, key}].blocked
}

// block blocks the key until then; a time that is not in the future lifts the block.
func (n *notes) block(m *Memory, l *Limit, key string, now, until int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if until <= now {
		until = 0
	}
	return n.change(m, l, key, now, func(note *note) { note.blocked = until })
}

// reset voids the key's receipts up to now. The notes are locked.
func (n *notes) reset(m *Memory, l *Limit, key string, now int64) error {
	return n.change(m, l, key, now, func(x *note) { x.reset, x.until = now, now+l.horizon() })
}

// change changes what is noted of the key. The notes are locked.
func (n *notes) change(m *Memory, l *Limit, key string, now int64, set func(*note)) error {
	k := noteKey{l.ID, key}
	old, known := n.keys[k]
	if !known && len(n.keys) >= maxNotes && !n.makeRoom(m, now) {
		return ErrFull
	}
	changed := old
	set(&changed)
	n.count(m, old, changed)
	if changed.blocked == 0 && changed.until <= now {
		delete(n.keys, k)
	} else {
		if n.keys == nil {
			n.keys = make(map[noteKey]note)
		}
		n.keys[k] = changed
	}
	n.known.Store(int64(len(n.keys)))
	return nil
}

// count keeps Memory.unusual at the number of blocks.
func (n *notes) count(m *Memory, old, now note) {
	if (old.blocked != 0) == (now.blocked != 0) {
		return
	}
	by := int64(1)
	if now.blocked == 0 {
		by = -1
	}
	m.unusual.Add(by)
}

// use marks a receipt as used, and says whether it is worth anything. The nonce's shard is locked.
func (n *notes) use(shard *receiptShard, l *Limit, key string, taken int64, nonce uint64, now int64) (bool, error) {
	place, seen := shard.find(nonce, now)
	if seen && nonce != 0 {
		return false, ErrReceiptUsed
	}
	until := taken + l.horizon()
	if taken > now || until <= now || n.known.Load() > 0 && taken <= n.resetAt(l.ID, key) {
		return false, nil
	}
	if nonce != 0 && !shard.add(place, nonce, until, now) {
		return false, ErrFull
	}
	return true, nil
}

// resetAt is when the key was last reset, as far as that matters.
func (n *notes) resetAt(id, key string) int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.keys[noteKey{id, key}].reset
}

// makeRoom looks through all notes at their bound, once a second at most, and says whether there is room now.
func (n *notes) makeRoom(m *Memory, now int64) bool {
	if now < n.looked+skewEvery {
		return false
	}
	n.looked = now
	n.forgetSome(m, m.earliest(m.now()), 2*maxNotes)
	return len(n.keys) < maxNotes
}

// forget drops some of what no longer matters: a step of housekeeping.
func (n *notes) forget(m *Memory, now int64) {
	n.turn = (n.turn + 1) % len(n.receipts)
	n.receipts[n.turn].forget(now)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgetSome(m, now, 1000)
}

// forgetSome looks at up to so many notes, in the map's random order.
func (n *notes) forgetSome(m *Memory, now int64, most int) {
	seen := 0
	for k, old := range n.keys {
		if seen++; seen > most {
			break
		}
		kept := old
		if kept.blocked <= now {
			kept.blocked = 0
		}
		n.count(m, old, kept)
		if kept.blocked == 0 && kept.until <= now {
			delete(n.keys, k)
		} else {
			n.keys[k] = kept
		}
	}
	n.known.Store(int64(len(n.keys)))
}
