package stint

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

// place is where a key of a batch is to be found.
type place struct {
	table       *table
	segment     *segment
	hash, lines uint64
}

// approach finds the key's line and asks for it. A batch does so for all its keys before it decides the first, so that it waits
// for many lines at once. A limit that is new to the store has no place.
func (m *Memory) approach(l *Limit, key string, at *place) {
	t := (*table)(atomic.LoadPointer(&l.home))
	if t == nil || t.store != m {
		at.table = nil
		return
	}
	at.table, at.hash = t, m.seed.hash(key)
	at.segment, at.lines = t.dir.Load().place(at.hash)
	prefetch(unsafe.Pointer(at.segment.at(home(at.hash, at.lines))))
}

// decide does a batch's operation on a key that was approached.
func (m *Memory) decide(l *Limit, key string, op Op, at *place, now int64) (Answer, Mark, error) {
	if at.table == nil || l.wall || op.Max < 0 || m.unusual.Load() != 0 {
		return m.oneUnusual(l, key, op)
	}
	if a, mark, done := at.table.warm(at.segment, at.lines, at.hash, op, now); done {
		return a, mark, nil
	}
	return m.settle(at.table, at.hash, l, key, op, now)
}

// Many implements [Store].
func (m *Memory) Many(_ context.Context, claims []Claim, into []Outcome) error {
	var places [batchSize]place
	for len(claims) > 0 {
		n := min(batchSize, len(claims))
		for i := range n {
			m.approach(claims[i].Limit, claims[i].Key, &places[i])
		}
		now, err := m.nowFor(&unaligned)
		if err != nil {
			return err
		}
		for i := range n {
			c, o := &claims[i], &into[i]
			o.Answer, o.Mark, o.Err = m.decide(c.Limit, c.Key, c.Op, &places[i], now)
		}
		claims, into = claims[n:], into[n:]
	}
	return nil
}

// takeMany is Many for calls on one limit, straight into their results.
func (m *Memory) takeMany(l *Limit, calls []Call, into []Result) error {
	var places [batchSize]place
	for i := range calls {
		m.approach(l, calls[i].Key, &places[i])
	}
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return err
	}
	nonce := rand.Uint64() // one draw for the batch: its nonces are as unlikely to be met as if each were drawn
	for i := range calls {
		c, r := &calls[i], &into[i]
		if r.Err = check(c.Key, c.N); r.Err != nil {
			r.Decision = Decision{}
			continue
		}
		op := TakeOp(c.N)
		if c.N == 0 {
			op = LookOp(1)
		}
		a, mark, err := m.decide(l, c.Key, op, &places[i], now)
		if r.Err = err; err != nil {
			r.Decision = Decision{}
			continue
		}
		nonce++
		r.fill(l, c.Key, op, a, mark, nonce)
	}
	return nil
}

// allowMany is takeMany of one unit each, for yes and no.
func (m *Memory) allowMany(l *Limit, keys []string, into []bool) error {
	if t := m.home(l); t != nil && t.narrow {
		return m.allowBuckets(t, l, keys, into)
	}
	var places [batchSize]place
	for i, key := range keys {
		m.approach(l, key, &places[i])
	}
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if into[i] = false; key != "" {
			a, _, err := m.decide(l, key, Op{1, 1, 0}, &places[i], now)
			into[i] = a.Granted == 1 && err == nil
		}
	}
	return nil
}

// allowBuckets is allowMany as allow does it.
func (m *Memory) allowBuckets(t *table, l *Limit, keys []string, into []bool) error {
	var places [batchSize]struct {
		hash uint64
		line *fourSlots
	}
	d := t.dir.Load()
	for i, key := range keys {
		at := &places[i]
		at.hash = m.seed.hash(key)
		at.line = d.line(at.hash)
		prefetch(unsafe.Pointer(at.line))
	}
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return err
	}
	for i, key := range keys {
		at := &places[i]
		p := at.line.slot(at.hash)
		if word := p.word.Load(); p.hash.Load()|1 == at.hash && word&held == 0 {
			next, granted := l.takeBucket(int64(word>>1), now, 1)
			if !granted || p.word.CompareAndSwap(word, uint64(next)<<1) {
				into[i] = granted
				continue
			}
		}
		if into[i] = false; key != "" {
			a, _, err := m.settle(t, at.hash, l, key, Op{1, 1, 0}, now)
			into[i] = a.Granted == 1 && err == nil
		}
	}
	return nil
}
