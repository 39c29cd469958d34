package stint

import (
	"context"
	"sync"
	"unsafe"
)

// receipts are the nonces of receipts that were used, each until it could not be worth anything any more. They lie in shards with
// a lock each. A nonce lies in one of the few places from its home on, and takes the place of one that is too old: so a used receipt
// costs no allocation, and nothing has to be cleaned up.
type receipts [64]receiptShard

type receiptShard struct {
	mu     sync.Mutex // held until the units are back; by a reset, those of all shards: nothing comes between a reset and its note
	places []usedReceipt
	_      [lineSize - 32]byte
}

type usedReceipt struct {
	nonce uint64
	until int64
}

const (
	receiptReach  = 12 // places where a nonce may lie
	leastReceipts = 16
	mostReceipts  = 1 << 16 // places of a shard, of which a quarter is used when the first nonce finds no room: half a million or more in all
)

// shard is where a nonce belongs.
func (r *receipts) shard(nonce uint64) *receiptShard { return &r[spread(nonce)>>58] }

// spread makes nonces that follow each other lie apart.
func spread(nonce uint64) uint64 { return nonce * 0x9e3779b97f4a7c15 }

func (r *receipts) lock() {
	for i := range r {
		r[i].mu.Lock()
	}
}

func (r *receipts) unlock() {
	for i := range r {
		r[i].mu.Unlock()
	}
}

// homeOf is the first place of a nonce among so many, a power of two.
func homeOf(nonce uint64, places int) int { return int(spread(nonce)>>30) & (places - 1) }

// foresee asks for a nonce's places, before the clock is read and without the lock: what it reads is nothing but a hint, so the race
// detector may not watch.
//
//go:norace
func (s *receiptShard) foresee(nonce uint64) {
	if places := s.places; len(places) > 0 {
		at := uintptr(unsafe.Pointer(unsafe.SliceData(places))) + uintptr(homeOf(nonce, len(places)))*unsafe.Sizeof(usedReceipt{})
		prefetchCells(at, (receiptReach-2)<<cellBits) // so far apart are the first and the last
	}
}

// find looks for a nonce that is still remembered. If it is not there, place is one for it, or -1.
func (s *receiptShard) find(nonce uint64, now int64) (place int, seen bool) {
	place = -1
	if len(s.places) == 0 {
		return place, false
	}
	i := homeOf(nonce, len(s.places))
	for range receiptReach {
		switch p := &s.places[i]; {
		case p.until <= now:
			place = i
		case p.nonce == nonce:
			return i, true
		}
		i = (i + 1) & (len(s.places) - 1)
	}
	return place, false
}

// add remembers a nonce that is not there, at the place that find gave; false if there is no room.
func (s *receiptShard) add(place int, nonce uint64, until, now int64) bool {
	for n := 2 * len(s.places); place < 0 && n <= mostReceipts; n *= 2 {
		s.resize(max(leastReceipts, n), now)
		place, _ = s.find(nonce, now)
	}
	if place < 0 {
		return false
	}
	s.places[place] = usedReceipt{nonce, until}
	return true
}

// remove forgets a nonce.
func (s *receiptShard) remove(nonce uint64, now int64) {
	if i, seen := s.find(nonce, now); seen {
		s.places[i] = usedReceipt{}
	}
}

// resize moves the nonces that matter to so many places, if they fit.
func (s *receiptShard) resize(n int, now int64) {
	other := receiptShard{places: make([]usedReceipt, n)}
	for _, p := range s.places {
		if p.until <= now {
			continue
		}
		i, _ := other.find(p.nonce, now)
		if i < 0 {
			return
		}
		other.places[i] = p
	}
	s.places = other.places
}

// forget is a shard's step of housekeeping: it gives memory back where little matters.
func (s *receiptShard) forget(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := 0
	for i := range s.places {
		if s.places[i].until > now {
			used++
		}
	}
	if len(s.places) > leastReceipts && 8*used < len(s.places) {
		s.resize(len(s.places)/2, now)
	}
}

// appendUsed appends the nonces that matter.
func (s *receiptShard) appendUsed(to []usedReceipt, now int64) []usedReceipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		if p.until > now {
			to = append(to, p)
		}
	}
	return to
}

// Refund implements [Store].
func (m *Memory) Refund(_ context.Context, l *Limit, key string, op Op, nonce uint64) (Answer, Mark, error) {
	t, err := m.table(l)
	if err != nil {
		return Answer{}, 0, err
	}
	h := m.seed.hash(key)
	s, lines := t.dir.Load().place(h)
	shard := m.notes.receipts.shard(nonce)
	shard.foresee(nonce)
	p := t.foresee(s, lines, h)
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	if m.options.Clock == nil && op.Wait > now && op.Wait-now <= clockSlack {
		now = op.Wait // another goroutine was told a later tick just before
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if worth, err := m.notes.use(shard, l, key, op.Wait, nonce, now); err != nil || !worth {
		return Answer{}, NewMark(now), err
	}
	if a, mark, done := t.warmRecord(p, op, now); done {
		return a, mark, nil
	}
	a, mark, err := m.settle(t, h, l, key, op, now)
	if err != nil {
		shard.remove(nonce, now)
	}
	return a, mark, err
}
