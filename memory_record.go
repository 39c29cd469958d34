package stint

import "unsafe"

// glimpse is the slot of a hash in a table of records, or nil; it may miss one if lines is less than the segment's.
func (s *segment) glimpse(lines, h uint64) *slot {
	start := home(h, lines)
	for i := start; ; {
		p := s.at(i)
		x := p.hash.Load()
		if x|1 == h {
			return p
		}
		if i += recordSize; i == uintptr(lines)*lineSize {
			i = 0
		}
		if x == 0 || i == start {
			return nil
		}
	}
}

// foresee asks for what is needed of a key, before the clock is read. On a cold one its cells are a second wait after that for its
// slot, and reading the clock waits for the first: so the slot is found already where there are cells.
func (t *table) foresee(s *segment, lines, h uint64) *slot {
	if !t.cells {
		prefetch(unsafe.Pointer(s.at(home(h, lines))))
		return nil
	}
	p := s.glimpse(lines, h)
	if p != nil {
		prefetchLog((*cellRecord)(unsafe.Pointer(p)))
	}
	return p
}

// oneRecord is One for a limit with more than one word of state.
func (m *Memory) oneRecord(t *table, s *segment, lines, h uint64, l *Limit, key string, op Op) (Answer, Mark, error) {
	p := t.foresee(s, lines, h)
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	if p == nil {
		p = s.glimpse(lines, h)
	}
	if a, mark, done := t.warmRecord(p, op, now); done {
		return a, mark, nil
	}
	return m.settle(t, h, l, key, op, now)
}

// prefetchLog asks for a key's cells. It looks into the slot without holding it, so the race detector may not watch: whatever is
// read there is nothing but a hint.
//
//go:norace
func prefetchLog(r *cellRecord) { prefetchCells(uintptr(unsafe.Pointer(r.log)), r.c) }

// warmRecord is warm for a key with more than one word of state, which is held meanwhile. p is its slot, if it was found.
func (t *table) warmRecord(p *slot, op Op, now int64) (Answer, Mark, bool) {
	if p == nil || !t.records || t.exact || !t.limit.builtin {
		return Answer{}, 0, false
	}
	word := p.word.Load()
	if word&held != 0 || !p.word.CompareAndSwap(word, word|held) {
		return Answer{}, 0, false
	}
	return t.applyHeld(p, word, op, now), p.mark(now), true
}

// applyHeld applies one of our own strategies to a slot that is held, and lets go of it.
func (t *table) applyHeld(p *slot, word uint64, op Op, now int64) Answer {
	before := t.state(p, word)
	n, a := t.limit.Strategy.Apply(t.room(before, op), t.limit, now, op)
	if n == before {
		p.word.Store(word)
		return a
	}
	if n.Log != before.Log {
		t.store.bytes.Add(n.Log.bytes() - before.Log.bytes())
	}
	t.release(p, n)
	return a
}
