package limittest

import (
	"math/bits"

	"github.com/stint-go/stint"
)

// aligned is a strategy of the kit's own, for traces of limiters that are not built in: a bucket that gets back its units at the
// edges of the clock's periods, and books later ones ahead. With a capacity of its units it is a fixed window that takes
// reservations for the next ones.
//
// A State is the instant at which nothing is used any more, the start of a period, and what was used in it: more than the capacity
// where units are booked ahead.
type aligned struct{}

func (aligned) Name() string           { return "aligned-bucket" }
func (aligned) Words(*stint.Limit) int { return 3 }

func (aligned) Compile(l *stint.Limit) error {
	switch {
	case l.Ticks() == 0:
		return &stint.LimitError{ID: l.ID, Reason: "an aligned bucket needs a period of whole microseconds"}
	case l.Units == 0 && l.Capacity() > 0:
		return &stint.LimitError{ID: l.ID, Reason: "an aligned bucket that nothing comes back to"}
	case l.Capacity() > mostOwed(l):
		return &stint.LimitError{ID: l.ID, Reason: "an aligned bucket that takes years to fill"}
	}
	return nil
}

// mostOwed is what a key can have used, debts and bookings included: what comes back within four years.
func mostOwed(l *stint.Limit) int64 {
	hi, lo := bits.Mul64(uint64((1<<47)/l.Ticks()), uint64(l.Units))
	if hi != 0 || lo >= 1<<62 {
		return 1 << 62
	}
	return int64(lo)
}

func (aligned) Apply(s stint.State, l *stint.Limit, now int64, op stint.Op) (stint.State, stint.Answer) {
	now = min(now, stint.MaxInstant)
	if l.Units == 0 {
		if op.Max < 0 {
			return s, stint.Answer{}
		}
		return s, stint.Answer{Wait: stint.Forever}
	}
	p := alignedAt(s, l, now)
	capacity, used := l.Capacity(), p.used
	granted := int64(0)
	switch op.Kind() {
	case stint.Grant:
		g := min(op.Max, p.roomWithin(op.Wait), capacity)
		if g >= op.Min && g > 0 {
			granted, used = g, used+g
		}
	case stint.Charge:
		granted, used = op.Max, used+min(op.Max, mostOwed(l)-min(used, mostOwed(l)))
	case stint.Clear:
		return stint.State{}, stint.Answer{Granted: min(-op.Max, used), Remaining: capacity}
	case stint.Credit, stint.Refund:
		granted = min(-op.Max, used)
		if op.Kind() == stint.Refund {
			granted = min(granted, p.worth(-op.Max, op.Wait))
		}
		used -= granted
	}
	if used == p.used {
		a := p.answer(granted)
		if op.Kind() == stint.Look || op.Kind() == stint.Grant {
			a.Wait = p.wait(op)
		}
		return s, a
	}
	p.used = used
	a := p.answer(granted)
	if used == 0 {
		return stint.State{}, a
	}
	if over := used - capacity; op.Max > 0 && over > 0 {
		a.Wait = p.returned(over) - now
	}
	return stint.State{A: (now + a.Reset) << 11, B: p.start, C: used}, a
}

// alignedKey is a key of an aligned bucket at an instant.
type alignedKey struct {
	limit       *stint.Limit
	now         int64
	start, used int64
}

// alignedAt is the key of a state at now. Its period only moves forward.
func alignedAt(s stint.State, l *stint.Limit, now int64) alignedKey {
	k := alignedKey{l, now, now - now%l.Ticks(), 0}
	if s.Forgettable(now) || s.C <= 0 {
		return k
	}
	k.start = max(k.start, s.B)
	k.used = max(0, s.C-product((k.start-s.B)/l.Ticks(), l.Units))
	return k
}

// product is a·b, at most what an int64 holds.
func product(a, b int64) int64 {
	if hi, lo := bits.Mul64(uint64(a), uint64(b)); hi == 0 && lo <= uint64(stint.Forever) {
		return int64(lo)
	}
	return stint.Forever
}

// returned is the instant by which so many units, at least one, have come back.
func (k *alignedKey) returned(units int64) int64 {
	return k.start + ((units-1)/k.limit.Units+1)*k.limit.Ticks()
}

// roomWithin is what there is room for within so many ticks.
func (k *alignedKey) roomWithin(wait int64) int64 {
	room := k.limit.Capacity() - k.used
	edges := (min(wait, 1<<47) + k.now - k.start) / k.limit.Ticks()
	if wait <= 0 || edges <= 0 {
		return room
	}
	return room + min(product(edges, k.limit.Units), mostOwed(k.limit))
}

// wait is how long the operation has to wait until it is granted.
func (k *alignedKey) wait(op stint.Op) int64 {
	if op.Min > k.limit.Capacity() {
		return stint.Forever
	}
	lack := op.Min - (k.limit.Capacity() - k.used)
	if lack <= 0 {
		return 0
	}
	return max(0, k.returned(lack)-k.now-op.Wait)
}

// worth is what n units are worth that were taken at an instant: what no edge since then has given back. While units are booked
// ahead it is nothing, since none may be granted twice at one instant.
func (k *alignedKey) worth(n, taken int64) int64 {
	if k.used > k.limit.Capacity() {
		return 0
	}
	edges := max(0, k.start-(taken-taken%k.limit.Ticks())) / k.limit.Ticks()
	return max(0, n-product(edges, k.limit.Units))
}

func (k *alignedKey) answer(granted int64) stint.Answer {
	a := stint.Answer{Granted: granted, Remaining: max(0, k.limit.Capacity()-k.used)}
	if k.used > 0 {
		a.Reset = k.returned(k.used) - k.now
	}
	return a
}
