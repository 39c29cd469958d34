package lease

import (
	"math"
	"sync/atomic"

	"github.com/stint-go/stint"
)

// block is units that the store has charged in one go, to be spent by this process. Instants are the process's, in nanoseconds.
type block struct {
	left   atomic.Int64 // not spent yet; below 0 once the block is out of use
	warned atomic.Bool  // that it is running low

	limit *stint.Limit
	units int64      // at first
	mark  stint.Mark // of the store's answer: when the units were charged
	sent  int64      // when the store was asked
	came  int64      // when it had answered
	until int64      // may be spent before
	ends  int64      // when units given back are worth nothing any more
	full  int64      // when the key is as good as new
	low   int64      // fewer than this are running low

	looked int64 // what was left when the keeper last looked
}

// outOfUse is what is left of a block that nobody may spend from any more.
const outOfUse = math.MinInt64

// A lease ends early by a 1024th of its life, so that the store's clock may go so much faster than ours, and by two ticks, of which
// either clock may be short.
const (
	driftShift = 10
	twoTicks   = 2 * int64(stint.Tick)
)

// newBlock is units of an answer to what was asked at the instant sent. Whatever the time between, the store charged them after
// it was asked, so that a life counted from sending is never too long.
func (s *Store) newBlock(l *stint.Limit, units int64, a stint.Answer, m stint.Mark, sent, now int64) *block {
	const most = math.MaxInt64 / int64(stint.Tick) / 2
	b := &block{limit: l, units: units, mark: m, sent: sent, came: now, ends: math.MaxInt64, low: units / 2, looked: units}
	life := int64(s.options.Life)
	if left := windowLeft(l, a.Reset); left < most {
		left *= int64(stint.Tick)
		b.ends = now + left
		life = min(life, left)
	}
	b.until = sent + life - life>>driftShift - twoTicks
	b.full = now + min(a.Reset, most)*int64(stint.Tick)
	b.left.Store(units)
	return b
}

// lives says whether units may be spent at the instant now. A clock that has stepped back spends nothing.
func (b *block) lives(now int64) bool { return now < b.until && now >= b.sent }

// take takes n units out, or nothing.
func (b *block) take(n int64) (left int64, ok bool) {
	for {
		left := b.left.Load()
		if left < n {
			return left, false
		}
		if b.left.CompareAndSwap(left, left-n) {
			return left - n, true
		}
	}
}

// putBack puts n units in again that were taken out and not spent. It is false if the block is out of use by now.
func (b *block) putBack(n int64) bool {
	for {
		left := b.left.Load()
		if left < 0 {
			return false
		}
		if b.left.CompareAndSwap(left, left+n) {
			return true
		}
	}
}

// retire takes the block out of use and returns what was left.
func (b *block) retire() int64 { return max(0, b.left.Swap(outOfUse)) }

// holds is what may be spent of a block that may be nil.
func (b *block) holds(now int64) int64 {
	if b == nil || !b.lives(now) {
		return 0
	}
	return max(0, b.left.Load())
}

// answer says that n units were spent, or looked for if n is 0, where so many are left.
func (b *block) answer(n, left, now int64) stint.Answer {
	return stint.Answer{Granted: n, Remaining: min(left, b.limit.Capacity()), Reset: max(0, b.full-now+int64(stint.Tick)-1) / int64(stint.Tick)}
}
