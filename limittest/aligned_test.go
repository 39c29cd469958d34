package limittest

import (
	"fmt"
	"testing"

	"github.com/stint-go/stint"
)

// The kit's own strategies are held to the laws, too.
func TestAligned(t *testing.T) {
	StrategyWith(t, StrategyOptions{Books: true, NeverOver: alignedNeverOver}, aligned{})
}

// alignedNeverOver is law 1: between two instants a capacity, and what the edges between them bring.
func alignedNeverOver(l *stint.Limit, events []Event) error {
	for i := range events {
		total := int64(0)
		for j := i; j < len(events); j++ {
			total += min(events[j].Units, mostOwed(l)-total)
			edges := events[j].At/l.Ticks() - events[i].At/l.Ticks()
			if most := l.Capacity() + product(edges, l.Units); most > 0 && total > most {
				return fmt.Errorf("law 1: %d units admitted from %d to %d, at most %d allowed", total, events[i].At, events[j].At, most)
			}
		}
	}
	return nil
}
