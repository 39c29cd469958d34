package stint

import "unsafe"

// Cells is memory that a store owns and lends to a strategy whose Words are more than three: a ring of pairs. A strategy may
// write only to cells that the given state does not count as live, so that a state which is dropped again stays true. The
// store sees to it that a take or a charge finds at least one cell free, up to the strategy's Words.
//
// Cells are one block of memory that begins with this head, so that a key costs one allocation and its pairs are reached without
// another pointer. They are made by [NewCells], known by their pointer and copied by [Cells.Clone]; a copy of the head alone is
// empty.
type Cells struct {
	size  uint32
	place uint32 // a part of the block's address
	b     int64  // the memory store keeps State.B here
}

// Pair is one cell: for the built-in strategies an instant, and the units counted before it.
type Pair struct{ At, Units int64 }

const (
	pairSize = unsafe.Sizeof(Pair{}) // and of the head
	// fewCells fill a cache line with their head. A ring that has to grow doubles that.
	fewCells = 3
)

// NewCells makes n cells.
//
//go:noinline
func NewCells(n int) *Cells { // not inlined, so that the block never lies on a stack, which moves
	block := make([]Pair, 1+max(n, 0))
	c := (*Cells)(unsafe.Pointer(&block[0]))
	c.size, c.place = uint32(len(block)-1), c.here()
	return c
}

// CellsOf makes cells that hold the pairs.
func CellsOf(pairs []Pair) *Cells {
	c := NewCells(len(pairs))
	copy(c.Pairs(), pairs)
	return c
}

// Pairs are the cells; none of nil.
func (c *Cells) Pairs() []Pair {
	if c == nil || c.place != c.here() || c.size == 0 {
		return nil
	}
	return unsafe.Slice((*Pair)(unsafe.Add(unsafe.Pointer(c), pairSize)), int(c.size))
}

// here tells a block's head from a copy of it.
func (c *Cells) here() uint32 { return uint32(uintptr(unsafe.Pointer(c)) >> 4) }

// Clone is a copy of the cells; nil of nil.
func (c *Cells) Clone() *Cells {
	if c == nil {
		return nil
	}
	return CellsOf(c.Pairs())
}

// bytes is the memory of the cells.
func (c *Cells) bytes() int64 {
	if c == nil {
		return 0
	}
	return int64(1+c.size) * int64(pairSize)
}

// moreCells is the next larger ring than one of n cells, of most at the most.
func moreCells(n, most int) int { return min(2*n+1, most) }
