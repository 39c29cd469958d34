package lease

import (
	"context"

	"github.com/stint-go/stint"
)

// take is a take that the current block does not serve: from the other block, with what a trip under way brings, by a trip of
// its own that brings a block along, or straight from the store.
func (s *Store) take(ctx context.Context, l *stint.Limit, key string, op stint.Op, h uint64) (stint.Answer, stint.Mark, error) {
	if err := s.check(l); err != nil {
		return stint.Answer{}, 0, err
	}
	r := s.recall(l, key, op, h)
	if r == nil {
		return s.inner.One(ctx, l, key, op)
	}
	if op.Min < op.Max {
		return s.takeUpTo(ctx, r, l, op)
	}
	n := op.Max
	for try := 1; ; try++ {
		r.mu.Lock()
		now := s.now()
		s.adopt(r, l, now)
		if b, left := s.spendAny(r, l, n, now); b != nil {
			a := b.answer(n, left+r.beside.Load(), now)
			r.mu.Unlock()
			return a, b.mark, nil
		}
		r.cost = n
		t := r.trip
		if t == nil {
			if t = r.depart(n, now, s.options.Life, s.most(l)); t == nil {
				r.mu.Unlock()
				return s.alone(ctx, r, l, op)
			}
			r.mu.Unlock()
			a, m, err := s.inner.One(ctx, l, r.key, stint.Op{Min: n, Max: n + t.more})
			s.arrive(r, l, t, &a, m, err)
			if err == nil && a.Granted < n {
				return s.refused(ctx, r, l, op, a, m)
			}
			return a, m, err
		}
		if try > mostTrips {
			r.mu.Unlock()
			return s.alone(ctx, r, l, op)
		}
		promised := t.coming >= n
		if promised {
			t.promise(n)
		}
		r.mu.Unlock()
		a, m, served, err := s.await(ctx, r, l, n, t, promised)
		if served || err != nil {
			return a, m, err
		}
	}
}

// mostTrips is how many trips of others a call waits for before it goes to the store by itself. Each takes about as long as that would;
// and calls that go by themselves, all on one key, would be in each other's way there.
const mostTrips = 3

// recall returns the lease of a key that is to have one: it came twice of late, or has one already. nil sends the call straight to
// the store.
func (s *Store) recall(l *stint.Limit, key string, op stint.Op, h uint64) *lease {
	if op.Min > s.most(l) || len(key) > longestKey || !leasable(l) {
		return nil
	}
	if r := s.leases.find(h, l.ID, key); r != nil {
		return r
	}
	if !s.porch.seen(h, s.now()/int64(s.options.Life)) {
		return nil
	}
	r, keeper := s.leases.add(h, l.ID, key)
	if r == nil {
		s.counts.atBound.Add(1)
	} else if keeper {
		s.start(s.keep)
	}
	return r
}

// longestKey is the longest key, in bytes, that gets a lease: what bounds the memory of the leases besides their number.
const longestKey = 256

// adopt ends a lease of other values of the limit. Their receipts are void, so nothing goes back. The mutex is held.
func (s *Store) adopt(r *lease, l *stint.Limit, now int64) {
	for _, b := range [2]*block{r.current.Load(), r.next} {
		if b != nil && !same(b.limit, l) {
			for _, b := range r.clear(now) {
				s.void(b)
			}
			r.size, r.remain = 0, 0
			r.reckon(now)
			return
		}
	}
}

// spendAny is spend from either block. The mutex is held.
func (s *Store) spendAny(r *lease, l *stint.Limit, n, now int64) (b *block, left int64) {
	if b, left := r.spend(l, n, now); b != nil {
		return b, left
	}
	if r.next.holds(now) < n {
		return nil, 0
	}
	// The next block becomes the current one; what is left of the other is for smaller calls.
	old := r.current.Swap(r.next)
	if r.next = nil; old.holds(now) > 0 {
		r.next = old
	} else {
		s.giveBack(r, old, now)
	}
	r.reckon(now)
	return r.spend(l, n, now)
}

// await waits for another call's trip, and takes what it promised, if it did. Units that were promised are kept for those who wait: calls
// that come meanwhile, and are quicker than it takes to wake somebody, would have them all.
func (s *Store) await(ctx context.Context, r *lease, l *stint.Limit, n int64, t *trip, promised bool) (a stint.Answer, m stint.Mark, served bool, err error) {
	select {
	case <-t.done:
	case <-ctx.Done():
		if promised {
			s.forgo(r, t, n)
		}
		return a, m, false, ctx.Err()
	}
	if !promised {
		return a, m, false, nil
	}
	b, now := t.block, s.now()
	got := b != nil && t.collect(n)
	lost := t.leave()
	if got && b.lives(now) && same(b.limit, l) {
		a, m, served = b.answer(n, max(0, b.left.Load())+r.beside.Load(), now), b.mark, true
	} else if got {
		lost += n // they came too late to be spent
	}
	s.counts.expired.Add(lost)
	return a, m, served, nil
}

// forgo gives up what was promised to a caller who waits no more.
func (s *Store) forgo(r *lease, t *trip, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-t.done:
		s.counts.expired.Add(t.leave())
	default:
		t.coming += n
		t.promised -= n
		t.waiting.Add(-1)
	}
}

// alone asks the store for this call only.
func (s *Store) alone(ctx context.Context, r *lease, l *stint.Limit, op stint.Op) (stint.Answer, stint.Mark, error) {
	a, m, err := s.inner.One(ctx, l, r.key, op)
	if err != nil {
		return a, m, err
	}
	r.mu.Lock()
	now := s.now()
	s.learn(r, a, m, now)
	held := r.holds(now)
	r.mu.Unlock()
	if a.Granted < op.Min {
		return s.refused(ctx, r, l, op, a, m)
	}
	a.Remaining = min(a.Remaining+held, l.Capacity())
	return a, m, nil
}

// refused is what becomes of a take of several units that the store refuses while the lease holds some, too few as well: the
// lease gives them back, and the store is asked again. So a lone caller gets its last units, and the answer's wait is true.
func (s *Store) refused(ctx context.Context, r *lease, l *stint.Limit, op stint.Op, a stint.Answer, m stint.Mark) (stint.Answer, stint.Mark, error) {
	r.mu.Lock()
	now := s.now()
	if r.holds(now) == 0 {
		r.mu.Unlock()
		return a, m, nil
	}
	var parcels []parcel
	for _, b := range r.clear(now) {
		if p, ok := s.pack(r, b, now); ok {
			parcels = append(parcels, p)
		}
	}
	r.size = 0
	r.mu.Unlock()
	if len(parcels) == 0 {
		return a, m, nil
	}
	for _, p := range parcels {
		s.deliver(ctx, p)
	}
	a, m, err := s.inner.One(ctx, l, r.key, op)
	if err == nil {
		r.mu.Lock()
		s.learn(r, a, m, s.now())
		r.mu.Unlock()
	}
	return a, m, err
}

// takeUpTo asks the store for what it has. Only if it has nothing does the call get what the lease holds.
func (s *Store) takeUpTo(ctx context.Context, r *lease, l *stint.Limit, op stint.Op) (stint.Answer, stint.Mark, error) {
	a, m, err := s.inner.One(ctx, l, r.key, op)
	if err != nil {
		return a, m, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := s.now()
	s.adopt(r, l, now)
	s.learn(r, a, m, now)
	if n := min(op.Max, r.current.Load().holds(now)); a.Granted < op.Min && n >= op.Min {
		if b, left := r.spend(l, n, now); b != nil {
			return b.answer(n, left+r.beside.Load(), now), b.mark, nil
		}
	}
	a.Remaining = min(a.Remaining+r.holds(now), l.Capacity())
	return a, m, nil
}

// arrive ends a trip: what it brought beyond the caller's own becomes a block. The answer is made the caller's.
func (s *Store) arrive(r *lease, l *stint.Limit, t *trip, a *stint.Answer, m stint.Mark, err error) {
	s.counts.trips.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(t.done)
	r.trip = nil
	if err != nil {
		return
	}
	now := s.now()
	r.took = now - t.sent
	s.learn(r, *a, m, now)
	more := a.Granted - t.n
	if a.Granted = min(a.Granted, t.n); more > 0 && !degraded(m) { // what is granted without the store is not charged there
		b := s.newBlock(l, more, *a, m, t.sent, now)
		s.counts.leased.Add(more)
		if r.gone || s.closed.Load() || t.epoch != r.epoch || !b.lives(now) {
			s.giveBack(r, b, now)
		} else {
			kept := min(more, t.promised)
			b.left.Add(-kept)
			t.kept.Store(kept)
			t.block = b
			s.giveBack(r, r.install(b, now), now)
		}
	}
	a.Remaining = min(a.Remaining+r.holds(now), l.Capacity())
}

// mostAhead bounds how many trips are under way that no caller waits for.
const mostAhead = 256

// inVain: where half of a block lasts for less than this part of a trip, a quarter, the other half is gone long before another could
// come. Then the caller who finds nothing left makes the trip, which brings twice as much and is handed to nobody.
const inVain = 4

// refillAhead asks for the next block while there is still some of this one, if it is being used up quickly.
func (s *Store) refillAhead(r *lease, b *block) {
	if b.warned.Swap(true) {
		return
	}
	r.mu.Lock()
	now := s.now()
	if now-b.sent > int64(s.options.Life)/2 || now-b.came < r.took/inVain || r.gone || s.ahead.Load() >= mostAhead {
		r.mu.Unlock()
		return
	}
	t := r.depart(0, now, s.options.Life, s.most(b.limit))
	r.mu.Unlock()
	if t != nil {
		s.depart(r, b.limit, t)
	}
}

// depart makes a trip that no caller waits for.
func (s *Store) depart(r *lease, l *stint.Limit, t *trip) {
	s.ahead.Add(1)
	s.counts.refilled.Add(1)
	if !s.start(func(ctx context.Context) { s.refill(ctx, r, l, t) }) {
		s.ahead.Add(-1)
		s.arrive(r, l, t, nil, 0, stint.ErrClosed)
	}
}

// refill is a trip that no caller waits for. It takes no longer than what it would bring lives.
func (s *Store) refill(ctx context.Context, r *lease, l *stint.Limit, t *trip) {
	defer s.ahead.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, s.options.Life)
	defer cancel()
	a, m, err := s.inner.One(ctx, l, r.key, stint.UpToOp(t.more))
	s.arrive(r, l, t, &a, m, err)
}
