package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// holder is a call that holds a slot: from when, and when it gives it back; 0 for never.
type holder struct{ from, until time.Duration }

// concurrency draws the slots of a limit on concurrency, and who holds them.
func concurrency() ([]byte, error) {
	const text = "3/15s concurrency"
	sec := func(from, until float64) holder {
		return holder{time.Duration(from * float64(time.Second)), time.Duration(until * float64(time.Second))}
	}
	holders := []holder{sec(2, 8), sec(4, 12), sec(6, 0), sec(7, 11), sec(9, 18), sec(10.5, 13), sec(13, 19), sec(15, 21), sec(16.5, 18),
		sec(20, 29), sec(21.5, 25.5), sec(22, 27), sec(24, 26), sec(30, 37), sec(32, 35), sec(33.5, 39), sec(34.5, 36)}

	s, err := newStage(text)
	if err != nil {
		return nil, err
	}
	defer s.store.Close()
	const lane, top, gap = 66.0, 96.0, 32.0
	bottom := top + gap*float64(s.limit.Units) + 4
	c := newCanvas(262, "concurrency", s.limit.String(), "concurrency: three slots, who holds them, and the calls that are refused while all are held")
	c.axis(wide, lane-14, bottom)
	c.text(24, lane+4, "muted", "calls")
	for i := range s.limit.Units {
		c.text(24, top+gap*float64(i)+17, "muted", fmt.Sprintf("slot %d", i+1))
	}

	free := make([]time.Duration, s.limit.Units) // when the slot drawn in each row is free again
	type release struct {
		at      time.Duration
		receipt stint.Receipt
	}
	var due []release
	for t := time.Duration(0); t <= length; t += 100 * time.Millisecond {
		s.at(t)
		for _, r := range due {
			if r.at != t {
				continue
			}
			if n, err := s.limiter.Refund(context.Background(), r.receipt); err != nil || n != 1 {
				return nil, fmt.Errorf("%d slots released at %v: %w", n, t, err)
			}
		}
		for _, h := range holders {
			if h.from != t {
				continue
			}
			d, err := s.take()
			if err != nil {
				return nil, err
			}
			c.call(wide.x(t), lane, d.Allowed)
			receipt, ok := d.Receipt()
			if !ok {
				continue
			}
			row := 0
			for free[row] > t {
				row++
			}
			y := top + gap*float64(row)
			if h.until == 0 {
				free[row] = t + d.ResetAfter
				c.rect("lost", wide.x(t), y, wide.x(free[row])-wide.x(t), gap-6)
				c.text(wide.x(t)+10, y+17, "no-text", "never released: expires after 15 s")
				continue
			}
			due = append(due, release{h.until, receipt})
			free[row] = h.until
			c.rect("bar", wide.x(t), y, wide.x(h.until)-wide.x(t), gap-6)
		}
	}
	c.legend(wide.left, 248, false)
	return c.end(), nil
}
