package batch

// Stats is what a batching store has done. Calls of One and All are Direct, Merged, Withdrawn, Full or turned away by Close.
type Stats struct {
	Direct    int64 // calls that found their shard idle and went straight through
	Merged    int64 // calls that were in a merged call
	Batches   int64 // merged calls
	Withdrawn int64 // callers who left the line before their claim was sent, and charged nothing
	Left      int64 // callers who left while their claim was under way
	Full      int64 // callers turned away by a full line
	Panics    int64 // calls in which the inner store panicked
	Overtaken int64 // times that a line no longer waited for a lone call, because it took longer than Timeout
	Queued    int64 // callers in line now
}

// Stats is what the store has done until now.
func (s *Store) Stats() Stats {
	var sum Stats
	for _, sh := range s.shards {
		sh.mu.Lock()
		st := sh.stats
		st.Direct, st.Queued = int64(sh.calls), int64(sh.queued())
		sh.mu.Unlock()
		sum.Direct += st.Direct
		sum.Merged += st.Merged
		sum.Batches += st.Batches
		sum.Withdrawn += st.Withdrawn
		sum.Left += st.Left
		sum.Full += st.Full
		sum.Panics += st.Panics
		sum.Overtaken += st.Overtaken
		sum.Queued += st.Queued
	}
	return sum
}
