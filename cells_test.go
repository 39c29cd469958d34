package stint

import "testing"

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
