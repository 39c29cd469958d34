package limittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/stint-go/stint"
)

// errLater is why a trace is not replayed: what it asks for is not built, or not here.
type errLater string

func (e errLater) Error() string { return "not replayed: " + string(e) }

// errLawThree ends a trace of a limiter that charges refused calls: from there on it must differ.
var errLawThree = errors.New("differs after a refusal, as law 3 demands")

// accounts are where a trace is replayed: a strategy alone, or a store.
type accounts interface {
	// open sets the limits, which each key of the trace is counted under; later calls change them.
	open(limits []stint.Limit) error
	// all does one operation for each limit on the key, together: takes are all granted or none.
	all(now int64, key string, ops []stint.Op) ([]stint.Answer, error)
	// block blocks a key.
	block(now int64, key string, d time.Duration) error
}

// replay is a trace on its way through some accounts.
type replay struct {
	v     *Vector
	to    accounts
	base  int64 // the instant of time 0
	by    int64 // all times are divided by it,
	times int64 // and multiplied by it

	limits  []limitConfig
	next    []limitConfig
	spills  bool // what the first limit refuses the second one may grant
	change  stint.Carry
	shift   int64 // of later steps, by what earlier ones slept or set up
	latest  int64 // the latest time of a step so far
	refused map[string]bool
}

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

// replayOn replays a trace whose steps are operations on limits. The error is an errLater where that cannot be done.
func replayOn(v *Vector, to accounts) error {
	r := &replay{v: v, to: to, refused: map[string]bool{}}
	if err := r.configure(); err != nil {
		return err
	}
	if v.unread != nil {
		return v.unread
	}
	r.scale()
	if err := r.start(); err != nil {
		return err
	}
	for i := range v.Steps {
		if err := r.step(&v.Steps[i]); err != nil {
			if key := v.Steps[i].Key; v.Policy == "deny_charges" && r.refused[key] {
				return errLawThree
			}
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
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

var carries = map[string]stint.Carry{
	"reset": stint.CarryNothing, "as_is": stint.CarryUnits, "additive": stint.CarryAdded, "proportional": stint.CarryShare,
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

// start makes the limits and brings them to their first state.
func (r *replay) start() error {
	if err := r.to.open(r.compiled(r.limits, 0)); err != nil {
		return err
	}
	ops, some := make([]stint.Op, len(r.limits)), false
	for i, c := range r.limits {
		ops[i] = stint.LookOp(1)
		if c.Init != nil && *c.Init < c.Cap {
			ops[i], some = stint.ChargeOp(c.Cap-*c.Init), true
		}
	}
	if !some {
		return nil
	}
	_, err := r.to.all(r.instant(r.v.T0), "", ops)
	return err
}

// each is the operation for every limit.
func (r *replay) each(op stint.Op) []stint.Op {
	return slices.Repeat([]stint.Op{op}, len(r.limits))
}

// step does one step and holds what comes of it to what the trace says.
func (r *replay) step(s *VectorStep) error {
	now, n := r.instant(s.T), s.units()
	var op stint.Op
	switch s.Op {
	case "", "take", "acq":
		op = stint.TakeOp(n)
		switch {
		case n == 0:
			op = stint.LookOp(1)
		case s.Counts != nil:
			if err := r.counted(s, now); err != nil {
				return err
			}
		case r.v.Algo == "pacer":
			op = stint.WithinOp(n, int64(time.Hour/stint.Tick))
		}
	case "peek":
		op = stint.LookOp(max(1, n))
	case "avail", "full_in":
		op = stint.LookOp(1)
	case "take_upto":
		if s.N == nil {
			n = math.MaxInt64
		}
		op = stint.UpToOp(n)
	case "add", "force_add", "reward":
		op = stint.CreditOp(min(n, math.MaxInt64-1))
	case "reward_from":
		op = stint.RefundOp(n, r.instant(s.Window))
	case "debt", "penalty":
		op = stint.ChargeOp(n)
	case "reserve":
		op = stint.TakeOp(n)
		if wait := max(s.MaxWait, r.limits[0].MaxWait); wait > 0 {
			op = stint.WithinOp(n, r.ticks(wait))
		}
	case "reset":
		op = stint.ResetOp()
	case "set":
		var used int64
		if err := json.Unmarshal(s.Used, &used); err != nil {
			return err
		}
		if _, err := r.to.all(now, s.Key, r.each(stint.ResetOp())); err != nil {
			return err
		}
		op = stint.ChargeOp(used)
	case "block":
		return r.to.block(now, s.Key, time.Duration(r.ticks(s.For))*stint.Tick)
	case "replace":
		return r.replace(now, s.Key)
	case "state":
		return r.state(s)
	case "idle":
		r.shift += int64(math.Round(s.D * float64(time.Second/stint.Tick)))
		return nil
	default:
		return errLater("there is no operation " + s.Op)
	}
	if op.Max == 0 && op.Min == 0 || (s.Op == "debt" || s.Op == "add") && n == 0 {
		op = stint.LookOp(1)
	}
	key := s.Key
	if s.Counts != nil {
		key = fmt.Sprint(s.Counts)
	}
	answers, err := r.do(now, key, op)
	r.latest = max(r.latest, s.T)
	if err != nil {
		return err
	}
	return r.check(s, op, answers)
}

// do does the operation on every limit together, or on the second one what the first one refuses.
func (r *replay) do(now int64, key string, op stint.Op) ([]stint.Answer, error) {
	if !r.spills {
		return r.to.all(now, key, r.each(op))
	}
	for i := range r.limits {
		ops := r.each(stint.LookOp(1))
		ops[i] = op
		answers, err := r.to.all(now, key, ops)
		if err != nil || i == len(r.limits)-1 || !refused(op, answers[i]) {
			return answers[i : i+1], err
		}
	}
	return nil, nil
}

// replace changes the limits. Counts are carried over at a key's first call that changes them, so such a call is made: a charge
// and a gift of one unit.
func (r *replay) replace(now int64, key string) error {
	r.limits = r.next
	if err := r.to.open(r.compiled(r.limits, r.change)); err != nil {
		return err
	}
	if _, err := r.to.all(now, key, r.each(stint.ChargeOp(1))); err != nil {
		return err
	}
	_, err := r.to.all(now, key, r.each(stint.CreditOp(1)))
	return err
}

// state brings a sliding counter to its two counts.
func (r *replay) state(s *VectorStep) error {
	window := r.ticks(r.limits[0].Period)
	for _, c := range []struct{ at, n int64 }{{r.base - window, s.Prev}, {r.base, s.Cur}} {
		if c.n == 0 {
			continue
		}
		if _, err := r.to.all(c.at, s.Key, r.each(stint.ChargeOp(c.n))); err != nil {
			return err
		}
	}
	r.shift = r.ticks(s.Elapsed)
	return nil
}

// counted brings the limits of a new key to the given counts.
func (r *replay) counted(s *VectorStep, now int64) error {
	ops := make([]stint.Op, len(s.Counts))
	for i, n := range s.Counts {
		ops[i] = stint.LookOp(1)
		if n > 0 {
			ops[i] = stint.ChargeOp(n)
		}
	}
	_, err := r.to.all(now, fmt.Sprint(s.Counts), ops)
	return err
}

// check holds answers to a step.
func (r *replay) check(s *VectorStep, op stint.Op, answers []stint.Answer) error {
	ok, wait, reset, remaining, granted := true, int64(0), int64(0), int64(math.MaxInt64), int64(math.MaxInt64)
	var failed []int64
	for i, a := range answers {
		passes := a.Granted >= op.Min
		if op.Max == 0 {
			passes = a.Wait == 0
		}
		if !passes {
			failed = append(failed, int64(i))
		}
		ok = ok && passes
		if op.Max >= 0 {
			wait = max(wait, a.Wait)
		}
		reset, remaining, granted = max(reset, a.Reset), min(remaining, a.Remaining), min(granted, a.Granted)
	}
	if !ok {
		granted = 0
		r.refused[s.Key] = true
	}
	if s.Op == "set" && s.Used != nil {
		return nil
	}
	switch {
	case s.OK != nil && ok != *s.OK:
		return fmt.Errorf("allowed %v, want %v: %+v", ok, *s.OK, answers)
	case s.RA != nil && *s.RA == -1 && wait != stint.Forever:
		return fmt.Errorf("retry-after %d, want never", r.units(wait))
	case s.RA != nil && *s.RA >= 0 && (wait == stint.Forever || r.units(wait) != *s.RA):
		return fmt.Errorf("retry-after %d, want %d", r.units(wait), *s.RA)
	case s.RS != nil && r.units(reset) != *s.RS:
		return fmt.Errorf("reset-after %d, want %d", r.units(reset), *s.RS)
	case s.Got != nil && granted != *s.Got:
		return fmt.Errorf("granted %d, want %d", granted, *s.Got)
	case s.Sleep != nil && float64(wait) != math.Round(*s.Sleep*1e6):
		return fmt.Errorf("sleep %d, want %v s", wait, *s.Sleep)
	}
	if s.Sleep != nil {
		r.shift += wait
	}
	if err := r.checkFailed(s, failed); err != nil {
		return err
	}
	if err := r.checkUsed(s, remaining); err != nil {
		return err
	}
	return r.checkRemaining(s, answers, remaining)
}

func (r *replay) checkFailed(s *VectorStep, failed []int64) error {
	if s.Failed == nil {
		return nil
	}
	var want []int64
	if json.Unmarshal(s.Failed, &want) != nil {
		want = make([]int64, 1)
		if err := json.Unmarshal(s.Failed, &want[0]); err != nil {
			return err
		}
	}
	if !slices.Equal(failed, want) {
		return fmt.Errorf("refused by limits %v, want %v", failed, want)
	}
	return nil
}

func (r *replay) checkUsed(s *VectorStep, remaining int64) error {
	if s.Used == nil {
		return nil
	}
	var used int64
	if err := json.Unmarshal(s.Used, &used); err != nil {
		return err
	}
	if want := max(0, r.limits[0].Cap-used); remaining != want {
		return fmt.Errorf("%d remaining, want %d (%d used)", remaining, want, used)
	}
	return nil
}

// checkRemaining holds what is left to a number, or one for each limit. Below 0 it is debt, which shows in reset-after alone.
func (r *replay) checkRemaining(s *VectorStep, answers []stint.Answer, remaining int64) error {
	if s.Rem == nil {
		return nil
	}
	var each []int64
	if json.Unmarshal(s.Rem, &each) == nil {
		for i, a := range answers {
			if a.Remaining != each[i] {
				return fmt.Errorf("limit %d: %d remaining, want %d", i, a.Remaining, each[i])
			}
		}
		return nil
	}
	var want int64
	if err := json.Unmarshal(s.Rem, &want); err != nil {
		return err
	}
	if s.T < r.latest && remaining < max(0, want) {
		return nil // a clock that stepped back may show less, never more
	}
	if remaining != max(0, want) {
		return fmt.Errorf("%d remaining, want %d", remaining, max(0, want))
	}
	if _, bucket := r.limits[0].strategy.(stint.TokenBucket); !bucket || len(answers) != 1 || want >= 0 && s.Frac == "" {
		return nil
	}
	return r.checkFraction(s, want, answers[0].Reset)
}

// checkFraction holds reset-after to what is left with its fraction of a unit, or to any fraction where none is given.
func (r *replay) checkFraction(s *VectorStep, left, reset int64) error {
	c := r.limits[0]
	least, most := whole(left), whole(left+1)
	if s.Frac != "" {
		fraction, ok := new(big.Rat).SetString(s.Frac)
		if !ok {
			return fmt.Errorf("fraction %q", s.Frac)
		}
		least.Add(least, fraction)
		most = least
	}
	until := func(left *big.Rat) int64 {
		t := new(big.Rat).Sub(whole(c.Cap), left)
		t.Mul(t, whole(r.ticks(c.Period)))
		return ceil(t.Quo(t, whole(c.Refill)))
	}
	if reset < until(most) || reset > until(least) {
		return fmt.Errorf("reset-after %d, want %d to %d for %d units and %q left", reset, until(most), until(least), left, s.Frac)
	}
	return nil
}
