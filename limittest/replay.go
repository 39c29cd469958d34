package limittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

var carries = map[string]stint.Carry{
	"reset": stint.CarryNothing, "as_is": stint.CarryUnits, "additive": stint.CarryAdded, "proportional": stint.CarryShare,
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
