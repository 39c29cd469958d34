package stint

import (
	"math/bits"
	"sync/atomic"
)

// sketch remembers what evicted keys have used, as an upper bound in fixed memory: each key has one cell in each of four rows,
// a cell holds the most of all keys in it, and a key begins from the least of its cells. So no key is ever granted more than
// its limit, and a flood of one-shot keys costs a newcomer about one unit for every two to four times the sketch's width of
// evictions. (A count-min sketch, Cormode and Muthukrishnan 2005, with the maximum in place of the sum.)
type sketch struct {
	mask uint64
	last atomic.Int64               // the largest State.A: when all may be forgotten
	a    [sketchRows][]atomic.Int64 // State.A
	used [sketchRows][]atomic.Int64 // units, where A alone does not order the states
}

const (
	sketchRows  = 4
	leastSketch = 1 << 8
	mostSketch  = 1 << 20
)

// newSketch gives the table its sketch, sized by what the table holds.
func (t *table) newSketch() *sketch {
	width := uint64(1) << bits.Len64(uint64(t.used.Load())/4)
	width = min(max(width, leastSketch), mostSketch)
	k := makeSketch(int64(width), !t.limit.ordered)
	if !t.sketch.CompareAndSwap(nil, k) {
		return t.sketch.Load()
	}
	t.store.bytes.Add(k.bytes())
	return k
}

// makeSketch is an empty sketch of so many cells, a power of two, in each row.
func makeSketch(width int64, unordered bool) *sketch {
	k := &sketch{mask: uint64(width) - 1}
	for row := range sketchRows {
		k.a[row] = make([]atomic.Int64, width)
		if unordered {
			k.used[row] = make([]atomic.Int64, width)
		}
	}
	return k
}

// bytes is the sketch's memory.
func (k *sketch) bytes() int64 { return int64(len(k.a[0])+len(k.used[0])) * sketchRows * 8 }

// cell is the key's place in a row.
func (k *sketch) cell(h uint64, row int) uint64 {
	hi, lo := bits.Mul64(h|1, sketchKeys[row])
	return (hi ^ lo) & k.mask
}

// sketchKeys spread a hash over the rows; any odd numbers with many bits set do, since the hash itself is secret.
var sketchKeys = [sketchRows]uint64{0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0xd6e8feb86659fd93, 0xa0761d6478bd642f}

// add remembers an evicted key.
func (k *sketch) add(l *Limit, h uint64, st State, now int64) {
	var used int64
	if !l.ordered {
		_, a := l.Strategy.Apply(st, l, now, LookOp(1))
		if used = l.capacity - a.Remaining; a.Remaining == 0 {
			used = roundedUp(l.used(st, now)) // a key in debt has used more
		}
	}
	raise(&k.last, st.A)
	for row := range sketchRows {
		i := k.cell(h, row)
		raise(&k.a[row][i], st.A)
		if !l.ordered {
			raise(&k.used[row][i], used)
		}
	}
}

func raise(cell *atomic.Int64, to int64) {
	for {
		old := cell.Load()
		if old >= to || cell.CompareAndSwap(old, to) {
			return
		}
	}
}

// remembered is the state that a key which is not in the table begins from, and whether it is an upper bound only.
func (t *table) remembered(h uint64, now int64) (State, bool) {
	k := t.sketch.Load()
	if k == nil {
		return State{}, false
	}
	l := t.limit
	a, used := Forever, Forever
	for row := range sketchRows {
		i := k.cell(h, row)
		a = min(a, k.a[row][i].Load())
		if !l.ordered {
			used = min(used, k.used[row][i].Load())
		}
	}
	switch {
	case a <= now<<fractionBits:
		return State{}, false
	case l.ordered:
		return State{A: a}, true
	case used == 0:
		return State{}, false
	}
	st, _ := l.Strategy.Apply(t.room(State{}, ChargeOp(used)), l, now, ChargeOp(used))
	return st, true
}
