package main

import (
	"fmt"
	"time"
)

// plot is where time runs in a picture.
type plot struct{ left, second float64 }

func (p plot) x(t time.Duration) float64 { return p.left + p.second*t.Seconds() }

// wide is the plot of all pictures but the overview.
var wide = plot{80, 19.2}

const width = 880

// axis draws the seconds below a plot that reaches from top to bottom.
func (c *canvas) axis(p plot, top, bottom float64) {
	for t := time.Duration(0); t <= length; t += 5 * time.Second {
		if t%window == 0 {
			c.line("grid", p.x(t), top, p.x(t), bottom)
		}
		c.line("axis", p.x(t), bottom, p.x(t), bottom+4)
		c.text(p.x(t), bottom+18, "muted middle", fmt.Sprintf("%d s", t/time.Second))
	}
	c.line("axis", p.left, bottom, p.x(length), bottom)
}

// legend says what dots and crosses are.
func (c *canvas) legend(left, y float64, level bool) {
	c.call(left+4, y-4, true)
	c.text(left+14, y, "muted", "admitted")
	c.call(left+94, y-4, false)
	c.text(left+104, y, "muted", "refused")
	if level {
		c.line("line", left+174, y-4, left+194, y-4)
		c.text(left+202, y, "muted", "units left")
	}
}

// timeline draws the scene under one strategy: the calls above, what is left below.
func timeline(strategy string) func() ([]byte, error) {
	return func() ([]byte, error) {
		tr, err := play(strategy)
		if err != nil {
			return nil, err
		}
		const lane, top, bottom = 66.0, 112.0, 202.0
		y := func(n int64) float64 { return bottom - float64(n)*(bottom-top)/units }
		from, most := tr.worst()
		c := newCanvas(262, strategy, tr.limit.String(),
			fmt.Sprintf("%s: the calls of one caller over 40 seconds, and the units left; at most %d are admitted in 10 seconds", strategy, most))
		c.axis(wide, lane-14, bottom)
		c.text(24, lane+4, "muted", "calls")
		for _, call := range tr.calls {
			c.call(wide.x(call.at), lane, call.admitted)
		}
		c.bracket(wide.x(from), wide.x(from+window), lane+20, fmt.Sprintf("%d in 10 s", most))
		for _, n := range []int64{0, units} {
			c.text(wide.left-10, y(n)+4, "muted right", fmt.Sprint(n))
		}
		c.text(24, y(0)-(bottom-top)/2+4, "muted", "left")
		c.levels(tr.levels, y)
		c.legend(wide.left, 248, true)
		return c.end(), nil
	}
}

// levels draws what is left as steps.
func (c *canvas) levels(levels []level, y func(int64) float64) {
	var steps []any
	for i, l := range levels {
		if i > 0 {
			steps = append(steps, "H", wide.x(l.at))
		}
		steps = append(steps, "V", y(l.left))
	}
	steps = append(steps, "H", wide.x(length))
	area := append([]any{"M", wide.left, y(0)}, steps...)
	c.path("area", append(area, "V", y(0), "Z")...)
	line := append([]any{"M", wide.left, y(levels[0].left)}, steps...)
	c.path("line", line...)
}

// overview draws the same calls under every strategy that counts calls over time.
func overview() ([]byte, error) {
	strategies := []string{"sliding-window-log", "token-bucket", "sliding-window-counter", "interval-bucket", "fixed-window"}
	const top, step = 92.0, 34.0
	bottom := top + step*float64(len(strategies)) - 10
	p := plot{190, 15.2}
	c := newCanvas(int(bottom)+60, "The same calls under five strategies", fmt.Sprintf("%d/%v", units, window),
		"The same calls of one caller under five strategies")
	c.text(width-24, 62, "muted right", "most in any 10 s")
	c.axis(p, top-18, bottom)
	for i, strategy := range strategies {
		tr, err := play(strategy)
		if err != nil {
			return nil, err
		}
		lane := top + step*float64(i)
		c.text(24, lane+4, "", strategy)
		for _, call := range tr.calls {
			c.call(p.x(call.at), lane, call.admitted)
		}
		_, most := tr.worst()
		class := "yes-text right"
		if most > units {
			class = "no-text right"
		}
		c.text(width-24, lane+4, class, fmt.Sprint(most))
	}
	c.legend(p.left, bottom+46, false)
	return c.end(), nil
}
