package stint

import "sync"

// notes are what a memory store remembers of keys besides their counts, all of it rare: blocks, resets (which void older
// receipts) and receipts that were used. Each has an end, and their number is bounded.
type notes struct {
	mu     sync.RWMutex
	keys   map[noteKey]note
	used   map[uint64]int64 // nonce → until when the receipt could be worth anything
	looked int64            // when all notes were last looked through
}

type noteKey struct{ id, key string }

type note struct {
	blocked int64 // until
	reset   int64 // at
	until   int64 // when the reset no longer matters
}

// maxNotes bounds the notes of either kind.
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
		return nil
	}
	if n.keys == nil {
		n.keys = make(map[noteKey]note)
	}
	n.keys[k] = changed
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

// use marks a receipt as used, and says whether it is worth anything. The notes are locked.
func (n *notes) use(m *Memory, l *Limit, key string, taken int64, nonce uint64, now int64) (bool, error) {
	if until, seen := n.used[nonce]; seen && until > now {
		return false, ErrReceiptUsed
	}
	until := taken + l.horizon()
	if taken > now || until <= now || taken <= n.keys[noteKey{l.ID, key}].reset {
		return false, nil
	}
	if nonce == 0 {
		return true, nil
	}
	if len(n.used) >= maxNotes && !n.makeRoom(m, now) {
		return false, ErrFull
	}
	if n.used == nil {
		n.used = make(map[uint64]int64)
	}
	n.used[nonce] = until
	return true, nil
}

// makeRoom looks through all notes at their bound, once a second at most, and says whether there is room now.
func (n *notes) makeRoom(m *Memory, now int64) bool {
	if now < n.looked+skewEvery {
		return false
	}
	n.looked = now
	n.forgetSome(m, m.earliest(m.now()), 2*maxNotes)
	return len(n.keys) < maxNotes && len(n.used) < maxNotes
}

// forget drops some of what no longer matters: a step of housekeeping.
func (n *notes) forget(m *Memory, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgetSome(m, now, 1000)
}

// forgetSome looks at up to so many notes of each kind, in the maps' random order.
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
	seen = 0
	for nonce, until := range n.used {
		if seen++; seen > most {
			break
		}
		if until <= now {
			delete(n.used, nonce)
		}
	}
}
