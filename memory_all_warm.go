package stint

import (
	"sync/atomic"
	"unsafe"
)

// fewClaims is what most calls with several claims have at most. They need no memory but the stack's.
const fewClaims = 4

// warmClaim is one claim's slot on the short way.
type warmClaim struct {
	table      *table
	slot       *slot
	segment    *segment
	hash       uint64
	lines      uint64
	word, next uint64
}

// allWarm does a call of few takes the short way: keys that are all there, one word of state each, nobody at work on them. Each
// line is asked for before the clock is read, and each slot is found once. All words but the last are held, in the order of their
// addresses; the last is changed by compare-and-swap. It says whether the call is done; if not, nothing has happened.
func (m *Memory) allWarm(claims []Claim, into []Outcome) (done bool) {
	var few [fewClaims]warmClaim
	if len(claims) == 0 || len(claims) > len(few) || m.unusual.Load() != 0 {
		return false
	}
	warm := few[:len(claims)]
	for i := range claims {
		c, w := &claims[i], &warm[i]
		t := (*table)(atomic.LoadPointer(&c.Limit.home))
		if t == nil || t.store != m || t.records || t.limit.wall || !t.limit.builtin || c.Op.Max <= 0 || c.Op.Min != c.Op.Max {
			return false
		}
		if i > 0 && c.Key == claims[i-1].Key {
			w.hash = warm[i-1].hash
		} else {
			w.hash = m.seed.hash(c.Key)
		}
		w.table = t
		w.segment, w.lines = t.dir.Load().place(w.hash)
		prefetch(unsafe.Pointer(w.segment.at(home(w.hash, w.lines))))
	}
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return false
	}
	var order [fewClaims]int
	for i := range warm {
		w := &warm[i]
		if w.slot = w.segment.glance(w.lines, w.hash); w.slot == nil {
			return false
		}
		k := i
		for ; k > 0 && uintptr(unsafe.Pointer(warm[order[k-1]].slot)) > uintptr(unsafe.Pointer(w.slot)); k-- {
			order[k] = order[k-1]
		}
		order[k] = i
	}
	last := len(warm) - 1
	for k, i := range order[:len(warm)] {
		w := &warm[i]
		w.word = w.slot.word.Load()
		if w.word&held != 0 || k < last && !w.slot.word.CompareAndSwap(w.word, w.word|held) {
			letWarmGo(warm, order[:k])
			return false
		}
	}
	granted := true
	for i := range claims {
		c, w := &claims[i], &warm[i]
		n, a := w.table.limit.Strategy.Apply(State{A: int64(w.word >> 1)}, w.table.limit, now, c.Op)
		into[i] = Outcome{Answer: a, Mark: w.slot.mark(now)}
		w.next = wordOf(n)
		granted = granted && a.Granted >= c.Op.Min
	}
	if !granted {
		letWarmGo(warm, order[:last])
		for i := range claims {
			if c, w, o := &claims[i], &warm[i], &into[i]; o.Granted > 0 {
				o.wouldBeGranted(w.table.limit, State{A: int64(w.word >> 1)}, now, c.Op)
			}
		}
		return true
	}
	if w := &warm[order[last]]; !w.slot.word.CompareAndSwap(w.word, w.next) {
		letWarmGo(warm, order[:last])
		return false
	}
	for _, i := range order[:last] {
		warm[i].slot.word.Store(warm[i].next)
	}
	return true
}

// letWarmGo leaves the words that are held as they were.
func letWarmGo(warm []warmClaim, order []int) {
	for _, i := range order {
		warm[i].slot.word.Store(warm[i].word)
	}
}

// glance is the slot of a hash in a table of single words, or nil; it may miss one if lines is less than the segment's.
func (s *segment) glance(lines, h uint64) *slot {
	start := home(h, lines)
	for i := start; ; {
		p := s.at(i)
		x := p.hash.Load()
		if x|1 == h {
			return p
		}
		if i += unsafe.Sizeof(slot{}); i == uintptr(lines)*lineSize {
			i = 0
		}
		if x == 0 || i == start {
			return nil
		}
	}
}

// wouldBeGranted makes the answer to a claim of a call that is refused because of others: nothing is charged, so what is left is
// what was left.
func (o *Outcome) wouldBeGranted(l *Limit, st State, now int64, op Op) {
	would := o.Granted
	_, o.Answer = l.Strategy.Apply(st, l, now, LookOp(op.Min))
	o.Granted = would
}
