package lease

import "sync/atomic"

// Stats is what a store of leases holds and has done. Of the units leased, each is in one of Held, Returning, Spent, Returned, Expired
// and Stranded.
type Stats struct {
	Leases    int64 // keys with a lease now
	Held      int64 // units held now
	Leased    int64 // units charged in the store for later
	Spent     int64 // units of them that calls were granted
	Returning int64 // units on their way back
	Returned  int64 // units that the store took back
	Expired   int64 // units given back too late to be worth anything: time or a new window has given them back
	Stranded  int64 // units lost: the store could not be reached to give them back, or their limit has changed; they stay charged

	Trips    int64 // to the store for a lease
	AtBound  int64 // calls that found MaxKeys leases and went straight to the store
	Returns  int64 // trips to give units back
	Refilled int64 // of Trips, those that were made ahead of need
}

// counts are the counters behind Stats. Spending counts nothing: what was spent of a block is known when it ends.
type counts struct {
	leased, spent, returned, expired, stranded atomic.Int64
	trips, atBound, returns, refilled          atomic.Int64
	goingBack                                  atomic.Int64 // units on their way back
}

// Stats is what the store holds now. It looks at every lease: not for every call.
func (s *Store) Stats() Stats {
	c := &s.counts
	st := Stats{
		Leased: c.leased.Load(), Spent: c.spent.Load(), Returned: c.returned.Load(), Expired: c.expired.Load(), Stranded: c.stranded.Load(),
		Trips: c.trips.Load(), AtBound: c.atBound.Load(), Returns: c.returns.Load(), Refilled: c.refilled.Load(),
		Returning: c.goingBack.Load(),
	}
	for r := range s.leases.all {
		r.mu.Lock()
		blocks := [2]*block{r.current.Load(), r.next}
		if blocks[0] != nil || blocks[1] != nil {
			st.Leases++
		}
		for _, b := range blocks {
			if b == nil {
				continue
			}
			left := max(0, b.left.Load())
			st.Held += left
			st.Spent += b.units - left
		}
		r.mu.Unlock()
	}
	return st
}
