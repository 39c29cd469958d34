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

// stripe is the one of a key.
func (f *family) stripe(h uint64) *sync.Mutex { return &f.stripes[h>>1%uint64(len(f.stripes))] }

// several says whether keys may be counted under other values than a table's own.
func (f *family) several() bool { return len(*f.tables.Load()) > 1 }

// outgrown says that a table is not the family's newest.
func (f *family) outgrown(t *table) bool {
	tables := *f.tables.Load()
	return len(tables) > 1 && tables[0] != t
}

// mayRetire says whether a table may go once it is empty: values that others have followed, and of limits beyond the first many
// those that have no key now, so that ever new IDs do not add up.
func (m *Memory) mayRetire(t *table) bool {
	return t.family.outgrown(t) || len(m.allTables()) > manyTables
}

// manyTables is how many empty tables a store keeps at hand.
const manyTables = 1024

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
	t.narrow = l.narrow && !t.records
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

// retire takes a family's tables without live keys out of the store, if they may go. A limit that still counts in one is
// given a new table at its next call. It is put off while keys of the family are being moved, since a call that moves one relies
// on both of its tables. m.mu is held.
func (m *Memory) retire(f *family, now int64) {
	for i := range f.stripes {
		if !f.stripes[i].TryLock() {
			return
		}
		defer f.stripes[i].Unlock()
	}
	now = m.earliest(now)
	for _, t := range *f.tables.Load() {
		d := t.dir.Load()
		s := d.entries[0].segment.Load()
		if s.depth > 0 || !m.mayRetire(t) {
			continue
		}
		s.mu.Lock()
		k := t.sketch.Load()
		if !s.dead && t.live(s, now) == 0 && (k == nil || k.last.Load() <= now<<fractionBits) {
			t.freeze(s, now, nil)
			t.retired.Store(true)
			t.forgot(s, 0)
			if k != nil {
				m.bytes.Add(-k.bytes())
			}
			drop := func(tables []*table) []*table {
				return slices.DeleteFunc(slices.Clone(tables), func(other *table) bool { return other == t })
			}
			kept := drop(*f.tables.Load())
			f.tables.Store(&kept)
			all := drop(m.allTables())
			m.tables.Store(&all)
			if len(kept) == 0 {
				delete(m.families, t.limit.ID)
			}
		}
		s.mu.Unlock()
	}
}

// allTables are the store's tables now.
func (m *Memory) allTables() []*table { return *m.tables.Load() }

// beginShared is begin for a limit that is in use with several sets of values, and for a key that is marked as moved: its state
// is carried over from where it is counted now.
func (t *table) beginShared(h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	stripe := t.family.stripe(h)
	stripe.Lock()
	defer stripe.Unlock()
	if !t.vacant(h, key) {
		return Answer{}, 0, errAgain
	}
	in := t.inherited(h, l, key, now)
	mark := NewMark(now)
	if in.approximate {
		mark = mark.Approximate()
	}
	n, a := l.Strategy.Apply(t.room(in.state, op), l, now, op)
	if n.A == in.state.A && n.B == in.state.B && n.C == in.state.C {
		return a, mark, nil
	}
	return a, mark, t.take(in, h, key, n, now)
}

// vacant says that the key's place in this table is empty or marked as moved. As long as the key's stripe is held it stays so:
// a call that is making the key without the stripe, since it began before there were several tables, is waited for.
func (t *table) vacant(h uint64, key string) bool {
	s := t.dir.Load().segment(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := t.find(s, h, key)
	return !s.dead && (p == nil || p.word.Load() == moved)
}

// inheritance is the state that a key begins from in a table of a family.
type inheritance struct {
	state       State
	approximate bool
	from        *table // where the key has a slot now, if it has
	word        uint64 // of that slot
	left        State  // what is in it
}

// inherited is what the key begins from: its live state under other values, or else the most of what the sketches remember.
// The key's stripe is held.
func (t *table) inherited(h uint64, l *Limit, key string, now int64) inheritance {
	if from, left, word := t.elsewhere(h, key, now); from != nil {
		return inheritance{carry(from.limit, left, t.clock(from, now), l, now, l.newCells()), false, from, word, left}
	}
	st, approximate := t.remembered(h, now)
	for _, other := range *t.family.tables.Load() {
		if other == t {
			continue
		}
		then := t.clock(other, now)
		if bound, some := other.remembered(h, then); some {
			bound = carry(other.limit, bound, then, l, now, l.newCells())
			if l.used(bound, now).Cmp(l.used(st, now)) > 0 {
				st, approximate = bound, true
			}
		}
	}
	return inheritance{state: st, approximate: approximate}
}

// take puts the state n, made out of what was inherited, into the key's place, and marks the place that it was in as moved. Other
// values' calls for the key wait for the stripe, which is held, so the place is this call's to fill.
func (t *table) take(in inheritance, h uint64, key string, n State, now int64) error {
	if watch := t.store.moves.Load(); watch != nil && in.from != nil {
		watch.note(t, h, key)
	}
	if in.from != nil && !in.from.leave(h, key, in.word, in.left) {
		return errAgain
	}
	if in.approximate {
		h &^= 1
	}
	err := t.settleHere(h, key, n, now)
	for err == errAgain {
		err = t.settleHere(h, key, n, now)
	}
	if err == nil || in.from == nil {
		return err
	}
	// There is no room for it here, so it stays where it was.
	for in.from.settleHere(h|1, key, in.left, now) == errAgain {
	}
	return err
}

// clock is an instant of this table's clock on the other's: the store's own, or the wall's.
func (t *table) clock(other *table, now int64) int64 {
	switch skew := t.store.skew.Load(); {
	case t.limit.wall == other.limit.wall:
		return now
	case t.limit.wall:
		return now - skew
	default:
		return now + skew
	}
}

// elsewhere finds the key's live state under other values of the limit. Slots whose state may be forgotten are marked as moved:
// they would come to life again beside the one that this call makes.
func (t *table) elsewhere(h uint64, key string, now int64) (from *table, left State, at uint64) {
	for _, other := range *t.family.tables.Load() {
		if other == t {
			continue
		}
		then := t.clock(other, now)
		for {
			s := other.dir.Load().segment(h)
			p := other.find(s, h, key)
			if p == nil {
				if other.absent(s, h, key) {
					break
				}
				continue
			}
			word := p.word.Load()
			if word == moved {
				break
			}
			if word&held != 0 {
				s.mu.Lock() // a copy may be under way
				s.mu.Unlock()
				continue
			}
			if int64(word>>1) <= then<<fractionBits {
				if p.word.CompareAndSwap(word, moved) {
					break
				}
				continue
			}
			if !p.word.CompareAndSwap(word, word|held) {
				continue
			}
			from, left, at = other, other.state(p, word).cloned(), word
			p.word.Store(word)
			break
		}
	}
	return from, left, at
}

// absent says for certain that the key has no slot: a call that is making one is waited for.
func (t *table) absent(s *segment, h uint64, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := t.find(s, h, key)
	return p == nil && !s.dead
}

// leave marks the key as moved, if its state is still the one that was read.
func (t *table) leave(h uint64, key string, word uint64, read State) bool {
	d := t.dir.Load()
	s := d.segment(h)
	p := t.find(s, h, key)
	if p == nil || !p.word.CompareAndSwap(word, word|held) {
		return false
	}
	if st := t.state(p, word); st.B != read.B || st.C != read.C {
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
	if p := t.find(s, h|1, key); p != nil {
		word := p.word.Load()
		if word&held != 0 && word != moved || !p.word.CompareAndSwap(word, held) {
			return errAgain
		}
		t.store.bytes.Add(st.Log.bytes() - t.state(p, word).Log.bytes())
		t.release(p, st)
		return nil
	}
	if t.crowded(s) {
		if err := t.rebuild(s, h, now); err != nil {
			return err
		}
		return errAgain
	}
	t.insert(s, h, key, st)
	t.store.bytes.Add(st.Log.bytes())
	t.used.Add(1)
	t.store.used.Add(1)
	return nil
}
