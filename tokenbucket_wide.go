package stint

// applyWide is being written.
func applyWide(s State, l *Limit, now int64, op Op) (State, Answer) { return s, Answer{} }
