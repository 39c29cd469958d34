package limittest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// limitConfig is one limit of a trace's configuration.
type limitConfig struct {
	ID       string `json:"id"`
	Cap      int64  `json:"cap"`
	Burst    int64  `json:"burst"`
	Refill   int64  `json:"refill"`
	Period   int64  `json:"period"`
	Per      int64  `json:"per"`
	Init     *int64 `json:"init"`
	Mode     string `json:"mode"`
	First    int64  `json:"first"` // an edge of the periods that are aligned to the clock
	Limit    int64  `json:"limit"`
	Window   int64  `json:"window"`
	MaxWait  int64  `json:"max_wait"`
	strategy stint.Strategy
}

// configure reads the trace's limits.
func (r *replay) configure() error {
	var err error
	switch r.v.Algo {
	case "gcra":
		var c limitConfig
		err = json.Unmarshal(r.v.Cfg, &c)
		c.Cap, c.Refill, c.Period, c.strategy = c.Burst, 1, c.Per, stint.TokenBucket{}
		r.limits = []limitConfig{c}
	case "tb", "tb-all":
		r.limits, err = buckets(r.v.Cfg)
	case "tb-replace":
		var c struct {
			Old      json.RawMessage `json:"old"`
			New      json.RawMessage `json:"new"`
			Strategy string          `json:"strategy"`
		}
		if err = json.Unmarshal(r.v.Cfg, &c); err != nil {
			return err
		}
		var ok bool
		if r.change, ok = carries[c.Strategy]; !ok {
			return errLater("unknown way " + c.Strategy + " to carry over")
		}
		if r.limits, err = buckets(c.Old); err == nil {
			r.next, err = buckets(c.New)
		}
	case "fw", "fw-block":
		err = r.windows(stint.IntervalBucket{}) // they begin at the first call
	case "fw-aligned":
		err = r.windows(stint.FixedWindow{})
	case "fw-overflow":
		var c struct{ Main, Burst limitConfig }
		err = json.Unmarshal(r.v.Cfg, &c)
		r.spills, r.limits = true, []limitConfig{c.Main, c.Burst}
		r.asWindows(stint.IntervalBucket{})
	case "cycle":
		err = r.windows(aligned{})
	case "swl", "swl-multi-admit":
		err = r.windows(stint.SlidingLog{})
	case "swc":
		err = r.windows(stint.SlidingCounter{})
	case "pacer":
		var c struct {
			Rate int64 `json:"rate"`
		}
		err = json.Unmarshal(r.v.Cfg, &c)
		largest := int64(1)
		for _, s := range r.v.Steps {
			largest = max(largest, s.units())
		}
		r.limits = []limitConfig{{Cap: largest, Refill: c.Rate, Period: int64(time.Second / stint.Tick), strategy: stint.Pacing{}}}
	case "chain-concurrency":
		var slots []int64
		err = json.Unmarshal(r.v.Cfg, &slots)
		for _, n := range slots {
			r.limits = append(r.limits, limitConfig{Cap: n, Refill: n, Period: int64(time.Hour / stint.Tick), strategy: stint.Concurrency{}})
		}
	default:
		if why := NotHere(r.v); why != "" {
			return errLater(why)
		}
		return errLater("there is nothing like " + r.v.Algo)
	}
	for _, c := range append(r.limits, r.next...) {
		if c.Mode == "aligned" && (c.Period <= 0 || c.First%c.Period != 0) {
			return errLater("its periods begin at no edge of the clock's")
		}
	}
	return err
}

// buckets reads an array of buckets.
func buckets(text json.RawMessage) ([]limitConfig, error) {
	var configs []limitConfig
	err := json.Unmarshal(text, &configs)
	for i := range configs {
		switch configs[i].Mode {
		case "interval":
			configs[i].strategy = stint.IntervalBucket{}
		case "aligned":
			configs[i].strategy = aligned{}
		default:
			configs[i].strategy = stint.TokenBucket{}
		}
	}
	return configs, err
}

// windows reads one window, or an array of them.
func (r *replay) windows(strategy stint.Strategy) error {
	if json.Unmarshal(r.v.Cfg, &r.limits) != nil {
		var c limitConfig
		if err := json.Unmarshal(r.v.Cfg, &c); err != nil {
			return err
		}
		r.limits = []limitConfig{c}
	}
	r.asWindows(strategy)
	return nil
}

// asWindows makes windows of the limits.
func (r *replay) asWindows(strategy stint.Strategy) {
	for i := range r.limits {
		c := &r.limits[i]
		c.Cap, c.Refill, c.Period, c.strategy = c.Limit, c.Limit, c.Window+c.Period, strategy
	}
}

// scale finds the factor that makes the unit of all times a whole number of ticks, and the instant of time 0: an edge of all
// windows.
func (r *replay) scale() {
	var times []int64
	for _, c := range append(r.limits, r.next...) {
		times = append(times, c.Period)
	}
	edge := int64(1)
	for _, p := range times {
		if lcm := edge / gcd(edge, max(1, p)) * max(1, p); lcm > 0 && lcm < Start/2 {
			edge = lcm
		}
	}
	for _, s := range r.v.Steps {
		times = append(times, s.T, s.MaxWait, s.Window, s.For, s.Elapsed)
		if s.RA != nil {
			times = append(times, max(0, *s.RA))
		}
		if s.RS != nil {
			times = append(times, *s.RS)
		}
	}
	for _, c := range r.limits {
		times = append(times, c.MaxWait)
	}
	times = append(times, r.v.T0)
	if r.v.Algo == "pacer" {
		times = append(times, 1) // its times are in ticks already
	}
	for _, t := range times {
		r.by = gcd(r.by, t)
	}
	r.by, r.times = max(1, r.by), 1
	for _, c := range r.limits {
		if _, log := c.strategy.(stint.SlidingLog); log && c.Cap > 1024 && r.ticks(c.Period) < 1<<40 {
			r.times = 1000 // such a log rounds to a thousandth of its window
		}
	}
	r.base = Start - Start%edge
	if edge/r.by*r.times > 0 {
		edge = edge / r.by * r.times
		r.base = Start - Start%edge
	}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

func (r *replay) ticks(t int64) int64 { return t / r.by * r.times }

// units is a time in the trace's unit, rounded up.
func (r *replay) units(ticks int64) int64 { return (ticks + r.times - 1) / r.times * r.by }

func (r *replay) instant(t int64) int64 { return r.base + r.ticks(t) + r.shift }

// compiled are the limits of a configuration.
func (r *replay) compiled(configs []limitConfig, change stint.Carry) []stint.Limit {
	limits := make([]stint.Limit, len(configs))
	for i, c := range configs {
		limits[i] = stint.Limit{
			ID: c.ID, Units: c.Refill, Per: time.Duration(r.ticks(c.Period)) * stint.Tick, Strategy: c.strategy, OnChange: change,
		}
		if c.Cap != c.Refill {
			limits[i].Burst = c.Cap
		}
		if c.ID == "" {
			limits[i].ID = fmt.Sprint("limit", i)
		}
	}
	return limits
}
