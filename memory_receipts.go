package stint

import (
	"context"
	"sync"
)

// receipts are the nonces of receipts that were used, each until it could not be worth anything any more. They lie in shards with
// a lock each, in open addressing, and every one that comes in sweeps a place or two: so a used receipt costs no allocation, and
// what is too old makes room by itself.
type receipts [64]receiptShard

type receiptShard struct {
	mu     sync.Mutex // held until the units are back; by a reset, those of all shards: nothing comes between a reset and its note
	places []usedReceipt
	used   int   // places
	hand   int   // the next place to sweep
	looked int64 // when all of it was last swept at its bound
}

type usedReceipt struct {
	nonce uint64
	until int64 // 0: the place is free
}

const (
	leastReceipts = 16
	mostReceipts  = maxNotes / len(receipts{}) * 5 / 4 // in a shard, since they are not spread quite evenly
	receiptSweep  = 1 << 12                            // places of a shard looked at in a step of housekeeping
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

// home is the place where the search for a nonce begins.
func (s *receiptShard) home(nonce uint64) int { return int(spread(nonce)>>30) & (len(s.places) - 1) }

// find is the nonce's place, or the free one where it would go, and whether it is there.
func (s *receiptShard) find(nonce uint64) (int, bool) {
	if len(s.places) == 0 {
		return 0, false
	}
	for i := s.home(nonce); ; i = (i + 1) & (len(s.places) - 1) {
		switch p := &s.places[i]; {
		case p.until == 0:
			return i, false
		case p.nonce == nonce:
			return i, true
		}
	}
}

// seen says whether the nonce was used and is remembered.
func (s *receiptShard) seen(nonce uint64, now int64) bool {
	i, there := s.find(nonce)
	return there && s.places[i].until > now
}

// add remembers a nonce, if there is room. until is above 0.
func (s *receiptShard) add(nonce uint64, until, now int64) bool {
	s.sweep(2, now)
	if s.used >= mostReceipts && now >= s.looked+skewEvery {
		s.looked = now
		s.sweep(len(s.places), now)
	}
	if s.used >= mostReceipts {
		return false
	}
	if 4*(s.used+1) > 3*len(s.places) {
		s.resize(max(leastReceipts, 2*len(s.places)))
	}
	i, there := s.find(nonce)
	if !there {
		s.used++
	}
	s.places[i] = usedReceipt{nonce, until}
	return true
}

// remove forgets a nonce.
func (s *receiptShard) remove(nonce uint64) {
	if i, there := s.find(nonce); there {
		s.free(i)
	}
}

// free empties a place, and moves up those behind it that would not be found any more.
func (s *receiptShard) free(i int) {
	mask := len(s.places) - 1
	for j := i; ; {
		j = (j + 1) & mask
		p := s.places[j]
		if p.until == 0 {
			break
		}
		if home := s.home(p.nonce); (j-home)&mask >= (j-i)&mask {
			s.places[i] = p
			i = j
		}
	}
	s.places[i] = usedReceipt{}
	s.used--
}

// sweep looks at so many places in turn, and frees those that are too old.
func (s *receiptShard) sweep(n int, now int64) {
	for ; n > 0 && len(s.places) > 0; n-- {
		s.hand &= len(s.places) - 1
		if p := &s.places[s.hand]; p.until != 0 && p.until <= now {
			s.free(s.hand) // and look at what moved here the next time
			continue
		}
		s.hand++
	}
}

// resize moves the nonces to so many places.
func (s *receiptShard) resize(places int) {
	old := s.places
	s.places = make([]usedReceipt, places)
	for _, p := range old {
		if p.until != 0 {
			i, _ := s.find(p.nonce)
			s.places[i] = p
		}
	}
}

// forget is a shard's step of housekeeping: it sweeps a part, and gives memory back where little is left.
func (s *receiptShard) forget(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(min(receiptSweep, len(s.places)), now)
	if len(s.places) > leastReceipts && 8*s.used < len(s.places) {
		s.resize(len(s.places) / 2)
	}
}

// appendUsed appends the nonces.
func (s *receiptShard) appendUsed(to []usedReceipt) []usedReceipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		if p.until != 0 {
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
	p := t.foresee(s, lines, h)
	now, err := m.nowFor(l)
	if err != nil {
		return Answer{}, 0, err
	}
	shard := m.notes.receipts.shard(nonce)
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
		shard.remove(nonce)
	}
	return a, mark, err
}
