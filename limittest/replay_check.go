package limittest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/stint-go/stint"
)

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
