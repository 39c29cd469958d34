package stint

import (
	"context"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// One implements [Store].
func (m *Memory) One(_ context.Context, l *Limit, key string, op Op) (Answer, Mark, error) {
	t := m.home(l)
	if t == nil || op.Max < 0 {
		return m.oneUnusual(l, key, op)
	}
	h := m.seed.hash(key)
	s, lines := t.dir.Load().place(h)
	if t.records {
		return m.oneRecord(t, s, lines, h, l, key, op)
	}
	// The key's line is asked for before the clock is read, so that it comes meanwhile.
	prefetch(unsafe.Pointer(s.at(home(h, lines))))
	now, ok := m.clock.now()
	if !ok {
		var err error
		if now, err = m.tick(); err != nil {
			return Answer{}, 0, err
		}
	}
	if l.wall {
		now += m.skew.Load()
	}
	if a, mark, done := t.warm(s, lines, h, op, now); done {
		return a, mark, nil
	}
	return m.settle(t, h, l, key, op, now)
}

// home is the limit's table, if it has been used before and nothing is unusual.
func (m *Memory) home(l *Limit) *table {
	t := (*table)(atomic.LoadPointer(&l.home))
	if t == nil || t.store != m || m.unusual.Load() != 0 {
		return nil
	}
	return t
}

// allow is One for a take of n units, for yes and no.
func (m *Memory) allow(l *Limit, key string, n int64) bool {
	if t := m.home(l); t != nil && t.narrow {
		h := m.seed.hash(key)
		line := t.dir.Load().line(h)
		if now, ok := m.clock.at(prefetchAndRead(unsafe.Pointer(line))); ok {
			p := line.slot(h)
			if word := p.word.Load(); p.hash.Load()|1 == h && word&held == 0 {
				next, granted := l.takeBucket(int64(word>>1), now, n)
				if !granted || p.word.CompareAndSwap(word, uint64(next)<<1) {
					return granted
				}
			}
			a, _, err := m.settle(t, h, l, key, Op{n, n, 0}, now)
			return a.Granted == n && err == nil
		}
	}
	a, _, err := m.One(context.Background(), l, key, Op{n, n, 0})
	return a.Granted == n && err == nil
}

// allowAt is allow at an instant that the caller has read from the store before. One that is more than ten milliseconds old is not
// used: a new key would be refilled once more for the time since.
func (m *Memory) allowAt(l *Limit, key string, n, now int64) bool {
	const recent = 11 * housekeepEvery
	t := m.home(l)
	if t == nil || l.wall || uint64(now-m.due.Load()+recent) >= recent {
		return m.allow(l, key, n)
	}
	h := m.seed.hash(key)
	if t.narrow {
		p := t.dir.Load().line(h).slot(h)
		if word := p.word.Load(); p.hash.Load()|1 == h && word&held == 0 {
			next, granted := l.takeBucket(int64(word>>1), now, n)
			if !granted || p.word.CompareAndSwap(word, uint64(next)<<1) {
				return granted
			}
		}
	}
	a, _, err := m.settle(t, h, l, key, Op{n, n, 0}, now)
	return a.Granted == n && err == nil
}

// warm does one operation the short way, on a key that is there with one word of state, unless somebody holds the word or
// changes it meanwhile.
func (t *table) warm(s *segment, lines, h uint64, op Op, now int64) (Answer, Mark, bool) {
	if t.records {
		return t.warmRecord(s.glimpse(lines, h), op, now)
	}
	for i, start := home(h, lines), home(h, lines); ; {
		p := s.at(i)
		x := p.hash.Load()
		if x|1 == h {
			word := p.word.Load()
			if word&held != 0 {
				return Answer{}, 0, false
			}
			n, a := t.limit.Strategy.Apply(State{A: int64(word >> 1)}, t.limit, now, op)
			next := wordOf(n)
			done := next == word || p.word.CompareAndSwap(word, next)
			return a, NewMark(now) | markApproximate*Mark(^x&1), done
		}
		if x == 0 {
			return Answer{}, 0, false
		}
		if i += 16; i == uintptr(lines)*lineSize {
			i = 0
		}
		if i == start {
			return Answer{}, 0, false // lines was less than the segment's, and all of them are taken
		}
	}
}

// oneUnusual is One when the limit is new to the store, something is blocked, or the operation is not a take or a look.
func (m *Memory) oneUnusual(l *Limit, key string, op Op) (Answer, Mark, error) {
	t, err := m.table(l)
	if err != nil {
		return Answer{}, 0, err
	}
	h := m.seed.hash(key)
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	switch op.Kind() {
	case Look, Grant:
		if until := m.notes.blockedUntil(l.ID, key); until > now {
			return m.blocked(t, h, l, key, op, now, until)
		}
	case Clear:
		m.notes.receipts.lock() // no refund comes between the note and the reset
		defer m.notes.receipts.unlock()
		m.notes.mu.Lock()
		defer m.notes.mu.Unlock()
		if err := m.notes.reset(m, l, key, now); err != nil {
			return Answer{}, 0, err
		}
	}
	return m.settle(t, h, l, key, op, now)
}

// blocked is the answer for a key that is blocked: it waits until the block ends, or longer if the limit has no room then.
func (m *Memory) blocked(t *table, h uint64, l *Limit, key string, op Op, now, until int64) (Answer, Mark, error) {
	a, mark, err := m.settle(t, h, l, key, LookOp(op.Min), now)
	if a.Wait < Forever {
		a.Wait = max(a.Wait-op.Wait, until-now)
	}
	a.Granted, a.Remaining = 0, 0
	a.Reset = max(a.Reset, a.Wait)
	return a, mark.Blocked(), err
}

// settle does one operation the long way: on a key that is not there yet, that is held or being moved, or with more than one
// word of state.
func (m *Memory) settle(t *table, h uint64, l *Limit, key string, op Op, now int64) (Answer, Mark, error) {
	for tries := 0; ; tries++ {
		if t.retired.Load() {
			var err error
			if t, err = m.table(l); err != nil {
				return Answer{}, 0, err
			}
		}
		d := t.dir.Load()
		s := d.segment(h)
		p := t.find(s, h, key)
		if p == nil {
			a, mark, err := t.begin(h, l, key, op, now)
			if err == errAgain {
				continue
			}
			return a, mark, err
		}
		word := p.word.Load()
		switch {
		case word == frozen:
			s.mu.Lock() // until the copy is made
			s.mu.Unlock()
		case word == moved:
			a, mark, err := t.beginShared(h, l, key, op, now)
			if err == errAgain {
				continue
			}
			return a, mark, err
		case word&held != 0:
			runtime.Gosched()
		case !t.records:
			n, a := l.Strategy.Apply(State{A: int64(word >> 1)}, l, now, op)
			if next := wordOf(n); next == word || p.word.CompareAndSwap(word, next) {
				return a, p.mark(now), nil
			}
		case l.builtin:
			if !p.word.CompareAndSwap(word, word|held) {
				continue
			}
			return t.applyHeld(p, word, op, now), p.mark(now), nil
		default:
			if a, done := t.applyForeign(p, word, op, now); done {
				return a, p.mark(now), nil
			}
			if tries > maxTries {
				return Answer{}, 0, ErrContention
			}
			runtime.Gosched()
		}
	}
}

// maxTries bounds how often the strategy of somebody else is asked again because the key has changed meanwhile.
const maxTries = 10_000

func (p *slot) mark(now int64) Mark {
	return NewMark(now) | markApproximate*Mark(^p.hash.Load()&1)
}

// room gives a take the free cell that it may need. Where memory is short the strategy merges runs instead, on the refusing side.
func (t *table) room(st State, op Op) State {
	if !t.cells || st.Log != nil && (liveCells(st) < int(st.Log.size) || !t.store.hasBytes(2*st.Log.bytes())) {
		return st
	}
	return t.limit.Lend(st, op)
}

// newCells is the memory that a new key of the limit begins with: a few cells, which Lend lets grow, or for a strategy that is
// not ours, whose layout nobody knows, all that it asks for.
func (l *Limit) newCells() *Cells {
	switch {
	case l.words <= 3:
		return nil
	case l.builtin:
		return NewCells(fewCells)
	}
	return NewCells(l.words)
}

// cloned is the state with a copy of its cells.
func (s State) cloned() State {
	s.Log = s.Log.Clone()
	return s
}

// applyForeign applies a strategy that is not ours to a copy of the state, without holding anything meanwhile, and writes the
// result if the state is still the same.
func (t *table) applyForeign(p *slot, word uint64, op Op, now int64) (Answer, bool) {
	if !p.word.CompareAndSwap(word, word|held) {
		return Answer{}, false
	}
	before := t.state(p, word)
	st := t.room(before.cloned(), op)
	p.word.Store(word)
	n, a := t.limit.Strategy.Apply(st, t.limit, now, op)
	if n == st {
		return a, true // what it was lent is dropped
	}
	if !p.word.CompareAndSwap(word, word|held) {
		return Answer{}, false
	}
	if t.state(p, word) != before {
		p.word.Store(word)
		return Answer{}, false
	}
	t.store.bytes.Add(n.Log.bytes() - before.Log.bytes())
	t.release(p, n)
	return a, true
}
