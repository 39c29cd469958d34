package stint

// This file is for authors of stores: what a limit and the core know that a store outside this package needs. A store keeps a
// [State] for each key of each limit, written under one set of the limit's values; it lends cells, asks the strategy, and writes
// what comes back.

// Lend gives the state the cells that the operation may need. A strategy without cells, and an operation that takes nothing, need
// none. The state's own cells are never written.
func (l *Limit) Lend(s State, op Op) State {
	if l.words <= 3 || op.Max <= 0 {
		return s
	}
	if s.Log == nil {
		s.Log = l.newCells()
		return s
	}
	have := len(s.Log.Pairs())
	switch {
	case have >= l.words:
		return s
	case !l.builtin:
		grown := NewCells(l.words)
		copy(grown.Pairs(), s.Log.Pairs())
		s.Log = grown
		return s
	case liveCells(s) < have:
		return s
	}
	return growCells(s, moreCells(have, l.words))
}

// CarryFrom is the state under this limit of a key that had the state s under other values of it, as OnChange says. A store
// calls it at a key's first call under new values.
func (l *Limit) CarryFrom(from *Limit, s State, now int64) State {
	return carry(from, s, now, l, now, l.newCells())
}
