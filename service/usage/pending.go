package usage

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// pending are cells that are to be written: those that a writing has in hand, whose answer may be lost, those that come next, and those
// that came after.
type pending struct {
	mu       sync.Mutex
	cells    map[cell]Counts
	next     []row // what is written after what is in hand
	inHand   []row
	sequence int64 // of the writing in hand, or the last one
}

// cellsAtOnce is how many cells are in hand at most: as many as are surely written within the time that a writing may take. Beyond it
// that time would end, undo all of it, and end again the next time.
const cellsAtOnce = 4_000

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count()
}

func (p *pending) count() int { return len(p.cells) + len(p.next) + len(p.inHand) }

// add adds cells, of which no more than most are kept. It returns how many calls are lost.
func (p *pending) add(taken map[cell]Counts, most int) (lost int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, c := range taken {
		p.put(at, c, most, &lost)
	}
	if p.count() > most/2 {
		p.coarsen()
	}
	return lost
}

func (p *pending) put(at cell, c Counts, most int, lost *int64) {
	sum, there := p.cells[at]
	if !there && p.count() >= most {
		*lost += c.Admitted + c.Refused
		return
	}
	sum.add(c)
	p.cells[at] = sum
}

// coarsen merges seconds into minutes. What is in hand stays as it is: it may have been written. What comes next stays, too: it was merged
// before, if there was much of it.
func (p *pending) coarsen() {
	merged := make(map[cell]Counts, len(p.cells)/8)
	for at, c := range p.cells {
		at.step, at.at = Minute, Minute.start(at.at)
		sum := merged[at]
		sum.add(c)
		merged[at] = sum
	}
	p.cells = merged
}

// hand takes the next writing in hand, or the one again that failed. There is none if there is nothing to write.
func (p *pending) hand() (cells []row, sequence int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.inHand) > 0 {
		return p.inHand, p.sequence
	}
	if len(p.next) == 0 && len(p.cells) > 0 {
		p.next = make([]row, 0, len(p.cells))
		for at, c := range p.cells {
			p.next = append(p.next, row{at, c})
		}
		p.cells = map[cell]Counts{}
		if len(p.next) > cellsAtOnce { // the spans of one name together, which share most of their rows
			slices.SortFunc(p.next, func(a, b row) int { return cmp.Or(a.at.of.compare(b.at.of), cmp.Compare(a.at.at, b.at.at)) })
		}
	}
	if part := min(len(p.next), cellsAtOnce); part > 0 {
		p.inHand, p.next = p.next[:part:part], p.next[part:]
		p.sequence++
	}
	return p.inHand, p.sequence
}

func (o Of) compare(other Of) int {
	return cmp.Or(strings.Compare(o.Key, other.Key), strings.Compare(o.User, other.User), strings.Compare(o.Route, other.Route))
}

// done says that what was in hand is written.
func (p *pending) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inHand = nil
}

// each calls f for every cell.
func (p *pending) each(f func(cell, Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, c := range p.cells {
		f(at, c)
	}
	for _, cells := range [][]row{p.inHand, p.next} {
		for _, one := range cells {
			f(one.at, one.Counts)
		}
	}
}
