package usage

import "sync"

// pending are cells that are to be written: those that a writing has in hand, whose answer may be lost, and those that came after.
type pending struct {
	mu       sync.Mutex
	cells    map[cell]Counts
	inHand   map[cell]Counts // nil: none
	sequence int64           // of the writing in hand, or the last one
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cells) + len(p.inHand)
}

// add adds cells, of which no more than most are kept. It returns how many calls are lost.
func (p *pending) add(taken map[cell]Counts, most int) (lost int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, c := range taken {
		p.put(at, c, most, &lost)
	}
	if len(p.cells)+len(p.inHand) > most/2 && len(p.inHand) > 0 {
		p.coarsen()
	}
	return lost
}

func (p *pending) put(at cell, c Counts, most int, lost *int64) {
	sum, there := p.cells[at]
	if !there && len(p.cells)+len(p.inHand) >= most {
		*lost += c.Admitted + c.Refused
		return
	}
	sum.add(c)
	p.cells[at] = sum
}

// coarsen merges seconds into minutes. What is in hand stays as it is: it may have been written.
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
func (p *pending) hand() (cells map[cell]Counts, sequence int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inHand == nil && len(p.cells) > 0 {
		p.inHand, p.cells = p.cells, map[cell]Counts{}
		p.sequence++
	}
	return p.inHand, p.sequence
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
	for _, cells := range []map[cell]Counts{p.cells, p.inHand} {
		for at, c := range cells {
			f(at, c)
		}
	}
}
