package main

import (
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// pacing draws when calls come and when they are let go.
func pacing() ([]byte, error) {
	const text = "1/2s pacing"
	const patience = 9 * time.Second
	parsed, err := stint.ParseLimit(text)
	if err != nil {
		return nil, err
	}
	limit, err := parsed.Compile()
	if err != nil {
		return nil, err
	}
	const lane, gone, bottom = 72.0, 162.0, 202.0
	c := newCanvas(262, "pacing", limit.String()+", each willing to wait 9 s", "pacing: calls that come in bursts are let go one by one, two seconds apart")
	c.axis(wide, lane-20, bottom)
	c.text(24, lane+4, "muted", "come")
	c.text(24, gone+4, "muted", "let go")
	var state stint.State
	for _, seconds := range []float64{2, 2.5, 3, 3.5, 4, 12.5, 18, 18.3, 18.6, 18.9, 19.2, 19.5, 19.8, 20.1, 32} {
		at := time.Duration(seconds * float64(time.Second))
		var answer stint.Answer
		now := start + int64(at/stint.Tick)
		state, answer = limit.Strategy.Apply(state, limit, now, stint.WithinOp(1, int64(patience/stint.Tick)))
		if answer.Granted == 0 {
			c.call(wide.x(at), lane, false)
			continue
		}
		departs := at + time.Duration(answer.Wait)*stint.Tick
		if departs > length {
			return nil, fmt.Errorf("a call is let go at %v, outside the picture", departs)
		}
		c.call(wide.x(at), lane, true)
		c.path("link", "M", wide.x(at), lane+6, "L", wide.x(departs), gone-6)
		c.call(wide.x(departs), gone, true)
	}
	c.legend(wide.left, 248, false)
	return c.end(), nil
}
