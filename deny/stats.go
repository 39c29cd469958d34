package deny

// Stats is what a store remembers, and what it has done.
type Stats struct {
	Spared     int64 // claims of One and Many, and calls of All, that were refused out of memory
	Remembered int64 // refusals that were remembered
	Dropped    int64 // times that the memory of a key was dropped because the key changed, or may have
	Displaced  int64 // refusals that made room for others before their time
	Held       int64 // refusals that are remembered now
}

// Stats is how the store is now. It looks through its whole memory.
func (s *Store) Stats() Stats {
	return Stats{
		Spared: s.spared.Load(), Remembered: s.remembered.Load(), Dropped: s.dropped.Load(),
		Displaced: s.table.full.Load(), Held: s.table.held(s.now()),
	}
}
