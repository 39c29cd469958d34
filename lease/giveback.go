package lease

import (
	"context"
	"sync"
	"time"

	"github.com/stint-go/stint"
)

// parcel is units on their way back to the store.
type parcel struct {
	limit *stint.Limit
	key   string
	units int64
	block *block
}

// returns are the parcels that wait to be sent, and their senders.
type returns struct {
	mu      sync.Mutex
	waiting []parcel
	senders int
	closed  bool
}

// mostSenders bounds how many units-giving-back calls are under way at once.
const mostSenders = 16

// giveBack takes a block, which may be nil, out of use and sends back what is left of it, by the receipt of its charge: what
// time has given back already is not given twice.
func (s *Store) giveBack(r *lease, b *block, now int64) {
	if p, ok := s.pack(r, b, now); ok {
		s.send(p)
	}
}

// pack takes a block out of use. What is left and worth sending is the parcel.
func (s *Store) pack(r *lease, b *block, now int64) (parcel, bool) {
	if b == nil {
		return parcel{}, false
	}
	left := b.retire()
	s.counts.spent.Add(b.units - left)
	if left == 0 {
		return parcel{}, false
	}
	return s.parcel(r, b, left, now)
}

// parcel is n units of a block on their way back, if they are worth it.
func (s *Store) parcel(r *lease, b *block, n, now int64) (parcel, bool) {
	if now >= b.ends || healed(b.limit, n, now-b.sent) {
		s.counts.expired.Add(n)
		return parcel{}, false
	}
	s.counts.goingBack.Add(n)
	return parcel{limit: b.limit, key: r.key, units: n, block: b}, true
}

// void takes a block, which may be nil, out of use whose units nobody would take back.
func (s *Store) void(b *block) {
	if b == nil {
		return
	}
	left := b.retire()
	s.counts.spent.Add(b.units - left)
	s.counts.stranded.Add(left)
}

// send hands a parcel to a sender. At the bound, when the store is too slow to take units back, they are lost.
func (s *Store) send(p parcel) {
	q := &s.returns
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) >= s.options.MaxKeys {
		s.lose(p)
		return
	}
	q.waiting = append(q.waiting, p)
	if q.senders < mostSenders && s.start(s.sendAll) {
		q.senders++
	}
}

// sendAll sends parcels until none is waiting.
func (s *Store) sendAll(ctx context.Context) {
	q := &s.returns
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 || s.closed.Load() {
			q.senders--
			q.mu.Unlock()
			return
		}
		p := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		s.deliver(ctx, p)
	}
}

// deliver gives a parcel's units back. The nonce is 0: nobody else has the receipt, and it is not tried twice.
func (s *Store) deliver(ctx context.Context, p parcel) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Life)
	defer cancel()
	s.counts.returns.Add(1)
	a, _, err := s.inner.Refund(ctx, p.limit, p.key, stint.RefundOp(p.units, p.block.mark.At()), 0)
	if err != nil {
		s.lose(p)
		return
	}
	s.counts.goingBack.Add(-p.units)
	s.counts.returned.Add(a.Granted)
	s.counts.expired.Add(p.units - a.Granted)
}

func (s *Store) lose(p parcel) {
	s.counts.goingBack.Add(-p.units)
	s.counts.stranded.Add(p.units)
}

// keep looks after the leases until there are none: it gives back what has expired and what nobody spends, and forgets keys that
// are not asked for any more.
func (s *Store) keep(context.Context) {
	timer := time.NewTimer(s.options.Life / quickly)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		now := s.now()
		for r := range s.leases.all {
			s.look(r, now)
		}
		if s.leases.rest() {
			return
		}
		timer.Reset(s.options.Life / quickly)
	}
}

// look looks after one lease.
func (s *Store) look(r *lease, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := false
	if b := r.current.Load(); b != nil {
		if busy = !s.ended(r, b, now); !busy {
			r.current.Store(nil)
			s.giveBack(r, b, now)
		}
	}
	if b := r.next; b != nil && (!busy || !b.lives(now)) && s.ended(r, b, now) {
		r.next = nil
		s.giveBack(r, b, now)
	}
	if r.current.Load() == nil {
		r.current.Store(r.next)
		r.next = nil
	}
	r.reckon(now)
	if r.current.Load() == nil && r.next == nil && r.trip == nil && now-r.asked > int64(s.options.Life) {
		r.gone = true
		s.leases.remove(r)
	}
}

// ended says whether a block is over: used up, expired, or not spent from since the keeper last looked.
func (s *Store) ended(r *lease, b *block, now int64) bool {
	left := max(0, b.left.Load())
	idle := left == b.looked && now-b.sent >= int64(s.options.Life)/quickly
	b.looked = left
	switch {
	case left == 0:
		return true
	case !b.lives(now) || idle:
		r.shrink(b, left)
		return true
	}
	return false
}
