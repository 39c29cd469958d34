package stint

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// family is all tables of one limit ID: one for each set of values that its keys are counted under. A key has a live state in
// one of them at most; the others hold nothing for it, or a slot marked as moved.
type family struct {
	tables  atomic.Pointer[[]*table]
	stripes [16]sync.Mutex // a key that is counted under several sets of values is moved by one call at a time
}

// several says whether keys may be counted under other values than a table's own.
func (f *family) several() bool { return len(*f.tables.Load()) > 1 }

// outgrown says that a table is not the family's newest.
func (f *family) outgrown(t *table) bool {
	tables := *f.tables.Load()
	return len(tables) > 1 && tables[0] != t
}

// table is where the limit's keys are, made at its first use.
func (m *Memory) table(l *Limit) (*table, error) {
	if m.unusual.Load()&closedFlag != 0 {
		return nil, ErrClosed
	}
	if t := (*table)(atomic.LoadPointer(&l.home)); t != nil && t.store == m && !t.retired.Load() {
		return t, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.families[l.ID]
	if f == nil {
		f = &family{}
		f.tables.Store(&[]*table{})
		m.families[l.ID] = f
	}
	for _, t := range *f.tables.Load() {
		if t.limit.variant == l.variant && !t.retired.Load() {
			atomic.StorePointer(&l.home, unsafe.Pointer(t))
			return t, nil
		}
	}
	if len(*f.tables.Load()) >= maxVariants {
		m.retire(f, m.now())
	}
	if len(*f.tables.Load()) >= maxVariants {
		return nil, l.errorf("has more than %d different values in use at once; give limits that differ IDs of their own", maxVariants)
	}
	if m.saved != nil {
		if err := m.claim(f, l); err != nil {
			return nil, err
		}
		for _, t := range *f.tables.Load() {
			if t.limit == l {
				atomic.StorePointer(&l.home, unsafe.Pointer(t))
				return t, nil
			}
		}
	}
	t := m.newTable(f, l)
	m.adopt(f, t)
	atomic.StorePointer(&l.home, unsafe.Pointer(t))
	return t, nil
}

// newTable makes an empty table of the kind that the limit needs.
func (m *Memory) newTable(f *family, l *Limit) *table {
	t := &table{store: m, limit: l, family: f, stride: 16}
	t.exact, t.cells = m.options.ExactKeys, l.words > 3
	t.records = t.exact || l.words > 1
	if t.records {
		t.stride = 32
	}
	t.dir.Store(newDirectory(t.segmentFor(leastLines, 0)))
	return t
}

// adopt puts a table into the store. m.mu is held.
func (m *Memory) adopt(f *family, t *table) {
	tables := append([]*table{t}, *f.tables.Load()...)
	f.tables.Store(&tables)
	all := append(slices.Clone(m.allTables()), t)
	m.tables.Store(&all)
}

// retire takes a family's tables without live keys out of the store, but for its newest. A limit that still counts in one is
// given a new table at its next call. m.mu is held.
func (m *Memory) retire(f *family, now int64) {
	now -= max(0, -m.skew.Load())
	for _, t := range *f.tables.Load() {
		d := t.dir.Load()
		s := d.segments[0].Load()
		if s.depth > 0 || !f.outgrown(t) {
			continue
		}
		s.mu.Lock()
		if !s.dead && t.live(s, now) == 0 && t.sketch.Load() == nil {
			t.freeze(s, now, nil)
			t.retired.Store(true)
			t.forgot(s, 0)
			drop := func(tables []*table) []*table {
				return slices.DeleteFunc(slices.Clone(tables), func(other *table) bool { return other == t })
			}
			kept := drop(*f.tables.Load())
			f.tables.Store(&kept)
			all := drop(m.allTables())
			m.tables.Store(&all)
		}
		s.mu.Unlock()
	}
}

// allTables are the store's tables now.
func (m *Memory) allTables() []*table { return *m.tables.Load() }

// beginShared is begin for a limit that is in use with several sets of values: the key's state is carried over from where it
// is counted now.
func (t *table) beginShared(h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	stripe := &t.family.stripes[h>>1%16]
	stripe.Lock()
	defer stripe.Unlock()
	st, approximate := t.remembered(h, now)
	from, at, word := t.elsewhere(h, key, now)
	if from != nil {
		st = carry(from.limit, at, l, now, l.newCells())
	}
	mark := NewMark(now)
	if approximate && from == nil {
		mark = mark.Approximate()
	}
	n, a := l.Strategy.Apply(t.room(st, op), l, now, op)
	if n.A == st.A && n.B == st.B && n.C == st.C {
		return a, mark, nil
	}
	if from != nil && !from.leave(h, key, word, at) {
		return a, mark, errAgain
	}
	// From here on other values' calls wait for the stripe, so the key's place in this table is this call's to fill.
	for {
		err := t.settleHere(h, key, n, now)
		if err != errAgain {
			return a, mark, err
		}
	}
}

// elsewhere finds the key's live state under other values of the limit.
func (t *table) elsewhere(h uint64, key string, now int64) (*table, State, uint64) {
	for _, other := range *t.family.tables.Load() {
		if other == t {
			continue
		}
		for {
			d := other.dir.Load()
			s := d.segment(h)
			p, i := other.find(s, h, key)
			if p == nil && !other.absent(s, h, key) {
				continue
			}
			if p == nil {
				if st, _ := other.remembered(h, now); st.A > now<<fractionBits {
					return other, st, frozen
				}
				break
			}
			word := p.word.Load()
			if word == moved || word&held == 0 && int64(word>>1) <= now<<fractionBits {
				break
			}
			if word&held != 0 || !p.word.CompareAndSwap(word, word|held) {
				s.mu.Lock() // a copy may be under way
				s.mu.Unlock()
				continue
			}
			st := other.state(s, p, i, word)
			st = st.cloned()
			p.word.Store(word)
			return other, st, word
		}
	}
	return nil, State{}, 0
}

// absent says for certain that the key has no slot: a call that is making one is waited for.
func (t *table) absent(s *segment, h uint64, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := t.find(s, h, key)
	return p == nil && !s.dead
}

// leave marks the key as moved, if its state is still the one that was read. A state out of the sketch has no slot to mark: it
// stays there as an upper bound.
func (t *table) leave(h uint64, key string, word uint64, read State) bool {
	if word == frozen {
		return true
	}
	d := t.dir.Load()
	s := d.segment(h)
	p, i := t.find(s, h, key)
	if p == nil || !p.word.CompareAndSwap(word, word|held) {
		return false
	}
	if st := t.state(s, p, i, word); st.B != read.B || st.C != read.C {
		p.word.Store(word)
		return false
	}
	p.word.Store(moved)
	return true
}

// settleHere puts a state into the key's place, which is empty or marked as moved.
func (t *table) settleHere(h uint64, key string, st State, now int64) error {
	d := t.dir.Load()
	s := d.segment(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errAgain
	}
	if p, i := t.find(s, h|1, key); p != nil {
		word := p.word.Load()
		if word&held != 0 && word != moved || !p.word.CompareAndSwap(word, held) {
			return errAgain
		}
		t.release(s, p, i, st)
		return nil
	}
	if t.crowded(s) {
		if err := t.rebuild(s, h, now); err != nil {
			return err
		}
		return errAgain
	}
	t.insert(s, h, key, st)
	t.store.bytes.Add(st.logBytes())
	t.used.Add(1)
	t.store.used.Add(1)
	return nil
}
