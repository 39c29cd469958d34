package stint

import (
	"fmt"
	"sync"
)

// moves are the keys that go over from one set of values of their limit to another while a snapshot is being written. The tables
// are written one after the other, so such a key can be in both or in none of them as they are written. What counts for it is where
// it is found once all tables have been written.
type moves struct {
	mu    sync.Mutex
	keys  map[movedKey]struct{}
	most  int
	ended bool // all tables have been written: who moves now was written before
	many  bool // more than can be remembered
}

type movedKey struct {
	family *family
	id     string // of the limit
	hash   uint64
	key    string // where tables keep keys
}

// maxMoves bounds the keys that are remembered. A snapshot during which more of them move fails; the one before it stays.
const maxMoves = 1 << 20

// watchMoves has the moves noted from now on. No move is under way that is not.
func (m *Memory) watchMoves() *moves {
	v := &moves{keys: make(map[movedKey]struct{}), most: maxMoves}
	m.moves.Store(v)
	m.mu.RLock()
	families := make([]*family, 0, len(m.families))
	for _, f := range m.families {
		families = append(families, f)
	}
	m.mu.RUnlock()
	for _, f := range families {
		for i := range f.stripes {
			f.stripes[i].Lock() // whoever moves a key holds its stripe, and may have looked for a watch before there was one
			f.stripes[i].Unlock()
		}
	}
	return v
}

// note notes a key that is about to move. Its stripe is held.
func (v *moves) note(t *table, h uint64, key string) {
	k := movedKey{family: t.family, id: t.limit.ID, hash: h | 1}
	if t.exact {
		k.key = key
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch _, noted := v.keys[k]; {
	case noted || v.ended:
	case len(v.keys) == v.most:
		v.many = true
	default:
		v.keys[k] = struct{}{}
	}
}

// end ends the watch, and returns the keys.
func (v *moves) end() (map[movedKey]struct{}, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	if v.many {
		return nil, fmt.Errorf("more than %d keys went over to new values of their limits meanwhile; the snapshot before this one stays", v.most)
	}
	return v.keys, nil
}

// find is where the key is counted now, and its state; no table if it is as good as new.
func (k *movedKey) find(now int64) (*table, entry) {
	stripe := k.family.stripe(k.hash)
	stripe.Lock()
	defer stripe.Unlock()
	for _, t := range *k.family.tables.Load() {
		if e, ok := t.copyKey(k.hash, k.key, now); ok {
			return t, e
		}
	}
	return nil, entry{}
}

// copyKey is the key's entry, if it has a live state in the table.
func (t *table) copyKey(h uint64, key string, now int64) (entry, bool) {
	for {
		s := t.dir.Load().segment(h)
		s.mu.Lock()
		if s.dead && !t.retired.Load() {
			s.mu.Unlock()
			continue
		}
		defer s.mu.Unlock()
		if p := t.find(s, h, key); p != nil && !s.dead {
			e, live := t.copySlot(p, now)
			if t.exact {
				e.key = key
			}
			return e, live
		}
		return entry{}, false
	}
}
