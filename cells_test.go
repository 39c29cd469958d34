package stint

import (
	"fmt"
	"runtime"
	"testing"
)

func TestCells(t *testing.T) {
	var none *Cells
	if none.Pairs() != nil || none.Clone() != nil || len(NewCells(0).Pairs()) != 0 || len(NewCells(-1).Pairs()) != 0 {
		t.Error("no cells are not empty")
	}
	c := NewCells(5)
	for i := range c.Pairs() {
		c.Pairs()[i] = Pair{int64(i), -int64(i)}
	}
	clone := c.Clone()
	c.Pairs()[4].At = 9
	if len(clone.Pairs()) != 5 || clone.Pairs()[4] != (Pair{4, -4}) || c.Pairs()[4] != (Pair{9, -4}) {
		t.Errorf("%v, cloned from %v", clone.Pairs(), c.Pairs())
	}
	if bare := *c; len(bare.Pairs()) != 0 || len((&Cells{}).Pairs()) != 0 {
		t.Error("a copied head has cells")
	}
}

// The garbage collector sees what the slots of a segment point to, whatever its size.
func TestCellsSurviveCollections(t *testing.T) {
	m, clock := newTestMemory(t, MemoryOptions{})
	l := newTestLimiter(t, m, PerHour(100))
	garbage := make([]*Cells, 1000)
	for take := range int64(6) {
		for k := range 3000 {
			if d, err := l.Take(t.Context(), fmt.Sprint(k), 1); err != nil || d.Remaining != 99-take {
				t.Fatalf("take %d of key %d leaves %d (%v)", take, k, d.Remaining, err)
			}
			clock.advance(Tick)
			c := NewCells(fewCells)
			for i := range c.Pairs() {
				c.Pairs()[i] = Pair{-1, -1}
			}
			garbage[k%len(garbage)] = c
		}
		runtime.GC()
	}
}
