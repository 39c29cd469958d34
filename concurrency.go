package stint

// Concurrency lends out Units slots: a take holds as many slots as it costs until it is refunded, or for Per at most. The expiry
// is required, since a holder that crashes cannot give back.
//
// Choose it to bound how many calls run at once; release a slot with [Limiter.Refund] or [Reservation.Cancel]. Never more than
// Units slots are held that have not expired: a holder that outlives Per is not seen any more, so let Per be longer than any
// call. With more than 1024 slots, those taken within Per/1023 of each other expire together, at the later instant. State: 32
// bytes in a table, and a ring of its own of 16 bytes for each instant at which slots were taken that are still held, at most 1032
// of them, from 64 bytes up by doubling.
type Concurrency struct{}

// Name is "concurrency".
func (Concurrency) Name() string { return "concurrency" }

// Words is a cell for each slot, and a free one.
func (Concurrency) Words(l *Limit) int { return l.runWords() }

// Compile refuses a burst, and a Per that is not a whole number of ticks or more than 17 years.
func (Concurrency) Compile(l *Limit) error { return l.compileRuns() }

func (Concurrency) builtin() traits { return traits{} }

// Apply implements [Strategy].
func (Concurrency) Apply(s State, l *Limit, now int64, op Op) (State, Answer) {
	return l.applyRuns(s, now, op)
}
