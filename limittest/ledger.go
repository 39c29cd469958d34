package limittest

import "github.com/stint-go/stint"

// ledger keeps what was admitted on one key and not given back.
type ledger struct{ entries []entry }

type entry struct {
	taken int64 // the instant that the receipt bears
	at    int64 // the grant's instant; never before that of an earlier grant, since time only goes forward for a key
	units int64
}

// record enters the answer to an operation at now, whose receipt bears the instant taken.
func (g *ledger) record(l *stint.Limit, now, taken int64, op stint.Op, a stint.Answer) {
	switch {
	case op.Kind() == stint.Grant && a.Granted > 0:
		at := now + a.Wait
		if n := len(g.entries); n > 0 {
			at = max(at, g.entries[n-1].at)
		}
		g.entries = append(g.entries, entry{taken, at, a.Granted})
	case op.Kind() == stint.Refund:
		back := a.Granted
		if booksAhead(l.Strategy) && back < -op.Max {
			back++ // a bucket takes back fractions of a unit and says the whole ones
		}
		for i := len(g.entries) - 1; i >= 0 && back > 0; i-- {
			if e := &g.entries[i]; e.taken == op.Wait {
				n := min(back, e.units)
				e.units -= n
				back -= n
			}
		}
	}
}

// events are what counts for law 1.
func (g *ledger) events() []Event {
	events := make([]Event, 0, len(g.entries))
	for _, e := range g.entries {
		events = append(events, Event{e.at, e.units})
	}
	return events
}
