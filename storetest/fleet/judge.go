package fleet

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/limittest"
)

func sorted(crashes []crash) []crash {
	crashes = slices.Clone(crashes)
	slices.SortFunc(crashes, func(a, b crash) int { return cmp.Compare(a.at, b.at) })
	return crashes
}

// nothingStranded: nobody calls, so a process that can reach the store gives back all that it holds. What lives goes back when it
// was not spent from for a quarter of its life, and the keeper looks as often; what has expired, at its next look.
func (r *run) nothingStranded(alive []*process) error {
	f := &r.plan.Faults
	time.Sleep(r.plan.Life + r.plan.Life/4 + r.plan.Life/500 + 2*f.Delay + time.Millisecond)
	for _, p := range alive {
		if st := p.leases.Stats(); st.Held+st.Returning != 0 {
			return fmt.Errorf("process %s holds %d units when nobody has called for 1.25 lives of a lease: %+v", p.name, st.Held, st)
		}
	}
	return nil
}

// place is a key of a limit.
type place struct{ id, key string }

// judge holds a run that is over to the laws.
func (r *run) judge() (res Result) {
	grants := map[place][]*grant{}
	limits := map[place]*stint.Limit{}
	for _, p := range r.processes {
		for _, g := range p.grants {
			at := place{g.limit.ID, g.key}
			grants[at] = append(grants[at], g)
			limits[at] = g.limit
			res.Granted += g.taken
			if g.taken == 0 {
				res.Alone += g.units
			}
		}
		res.Leased += p.leases.Stats().Leased
	}
	res.Losses = int64(len(r.depot.losses))
	for at, list := range grants {
		late, err := r.neverOver(limits[at], together(list))
		res.Latest = max(res.Latest, float64(late)/float64(r.plan.Life.Microseconds()))
		if err != nil {
			res.Err = fmt.Errorf("law 1: limit %s key %s: %w", limits[at], at.key, err)
			return res
		}
	}
	for _, p := range r.processes {
		lost, err := r.allAccountedFor(p)
		res.Lost += lost
		if err != nil {
			res.Err = fmt.Errorf("law 3: process %s: %w", p.name, err)
			return res
		}
	}
	if err := r.asModel(); err != nil {
		res.Err = fmt.Errorf("law 8: %w", err)
	}
	return res
}

// neverOver holds the grants of one key, in their order, from any to any later one, to the stated bound. What a token bucket granted
// beyond B + r·|I| it granted late: the most, in ticks, is the first result.
func (r *run) neverOver(l *stint.Limit, grants []*grant) (late int64, err error) {
	before := make([]int64, len(grants)+1) // units granted before each
	for i, g := range grants {
		before[i+1] = before[i] + g.units
	}
	_, bucket := l.Strategy.(stint.TokenBucket)
	window := windows(l)
	life, per := r.plan.Life.Microseconds(), l.Ticks()
	if bucket {
		if late = r.lateAtMost(l, grants); late <= life {
			return late, nil // without any regard to losses
		}
	}
	for i := range grants {
		from := grants[i].at
		if window != nil && i > 0 && window(grants[i-1].at) == window(from) {
			continue // the whole window was looked at
		}
		for j := i; j < len(grants); j++ {
			switch { // the bound is the same up to the end of a period
			case window != nil:
				j = sort.Search(len(grants), func(k int) bool { return window(grants[k].at) > window(from) }) - 1
			case !bucket:
				end := from + ((grants[j].at-from)/per+1)*per
				j = sort.Search(len(grants), func(k int) bool { return grants[k].at >= end }) - 1
			}
			total, to := before[j+1]-before[i], grants[j].at
			if most := r.most(l, from, to, life); total > most {
				return late, fmt.Errorf("%d units granted from %d to %d (%d ticks), at most %d are allowed with leases of %v", total, from, to, to-from, most, r.plan.Life)
			}
			if window != nil {
				break
			}
		}
	}
	if bucket {
		late = 0 // the store had lost its state, and granted once more what it had
	}
	return late, nil
}

// windows numbers the windows of a limit by the instants in them; nil where it has none that are the same for all keys.
func windows(l *stint.Limit) func(at int64) int64 {
	c, calendar := l.Strategy.(stint.CalendarWindow)
	if _, fixed := l.Strategy.(stint.FixedWindow); fixed {
		return func(at int64) int64 { return at / l.Ticks() }
	}
	if !calendar {
		return nil
	}
	return func(at int64) int64 {
		y, m, d := time.UnixMicro(at).In(c.Zone).Date()
		days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
		switch c.Every {
		case stint.Week:
			return (days + 3) / 7 // 1970 began on a Thursday
		case stint.Month:
			return int64(y)*12 + int64(m)
		}
		return days
	}
}

// most is the stated bound. A step of the store's clock by x lets units be granted up to x too late or, since a key's time never goes
// back, be counted up to x too early; windows grant once more.
func (r *run) most(l *stint.Limit, from, to, life int64) int64 {
	steps, stepped := r.steps(from-life, to)
	life += stepped
	times, alone := 1+r.losses(from-life, to), int64(0)
	shares := r.shares(l)
	if shares > 0 {
		alone = 1
	}
	switch l.Strategy.(type) {
	case stint.TokenBucket: // B + r·(|I| + E)
		return l.Capacity()*times + shares + (l.Units*(to-from+life)+alone*l.Units*(to-from))/l.Ticks()
	case stint.IntervalBucket:
		return (l.Capacity()+l.Units*((to-from+stepped)/l.Ticks()+1))*times + shares + alone*l.Units*((to-from)/l.Ticks()+1)
	}
	return l.Units*(times+steps) + shares
}

// steps is how often, and how far in all, the store's clock stepped in a span.
func (r *run) steps(from, to int64) (n, by int64) {
	for _, s := range r.depot.steps {
		if first, last := min(s.at, s.at+s.by), max(s.at, s.at+s.by); last >= from && first <= to {
			n, by = n+1, by+last-first
		}
	}
	return n, by
}

// lateAtMost is how late, in ticks, a token bucket granted what it granted beyond B + r·|I| and the shares.
func (r *run) lateAtMost(l *stint.Limit, grants []*grant) int64 {
	rate := l.Units
	if r.shares(l) > 0 {
		rate *= 2
	}
	worst, sum := int64(math.MinInt64), int64(0) // of any span that ends with this grant, in units times Per
	for i, g := range grants {
		if i > 0 {
			sum = max(0, sum-rate*(g.at-grants[i-1].at))
		}
		sum += g.units * l.Ticks()
		worst = max(worst, sum)
	}
	return max(0, (worst-(l.Capacity()+r.shares(l))*l.Ticks())/l.Units)
}

// together makes one of the grants of each instant, in their order.
func together(grants []*grant) []*grant {
	slices.SortStableFunc(grants, func(a, b *grant) int { return cmp.Compare(a.at, b.at) })
	var sums []*grant
	for _, g := range grants {
		if n := len(sums); n > 0 && sums[n-1].at == g.at {
			sums[n-1].units += g.units
		} else {
			sums = append(sums, &grant{at: g.at, units: g.units})
		}
	}
	return sums
}

// shares is what all processes may grant at once without the store, where that is their choice: each its share, and once more for
// each that took another's place. A share grows as the limit does, by a part for each process.
func (r *run) shares(l *stint.Limit) int64 {
	if f := r.plan.Failover; f == nil || f.Default != failover.Local {
		return 0
	}
	return max(1, l.Capacity()/int64(r.plan.Processes)) * int64(len(r.processes))
}

// losses is how often the store lost its state in a span.
func (r *run) losses(from, to int64) (n int64) {
	for _, at := range r.depot.losses {
		if at >= from && at <= to {
			n++
		}
	}
	return n
}

// allAccountedFor: every unit that the store charged for the process, and whose charge it knows of, was granted to a caller or is
// among those leased that were not spent. So a refused call has charged nothing anywhere. It returns the units whose charge the
// process does not know of.
func (r *run) allAccountedFor(p *process) (lost int64, err error) {
	charged, granted := int64(0), int64(0)
	for _, c := range r.depot.records {
		switch {
		case c.by != p || c.op.Kind() != stint.Grant || c.limit.ID == failover.ProbeID:
		case c.arrived:
			charged += c.answer.Granted
		default:
			lost += c.answer.Granted
		}
	}
	for _, g := range p.grants {
		granted += g.taken
	}
	st := p.leases.Stats()
	if st.Leased != st.Spent+st.Returned+st.Expired+st.Stranded || st.Held+st.Returning != 0 {
		return lost, fmt.Errorf("the counts do not add up: %+v", st)
	}
	if kept := st.Leased - st.Spent; charged != granted+kept && !p.dead() || charged < granted+kept {
		return lost, fmt.Errorf("the store charged %d units, %d were granted and %d not spent: %+v", charged, granted, kept, st)
	}
	return lost, nil
}

// asModel holds what the store answered, key by key, to the exact model: whatever it forgets in between does not show.
func (r *run) asModel() error {
	models := map[place]limittest.Model{}
	losses := r.depot.after
	for i, c := range r.depot.records {
		for len(losses) > 0 && i >= losses[0] {
			clear(models)
			losses = losses[1:]
		}
		if c.op.Kind() == stint.Refund && c.op.Wait > c.at { // of a take from before the clock stepped back: it is worth nothing
			if c.answer.Granted != 0 {
				return fmt.Errorf("limit %s key %s: %d units of a take at %d given back at %d, before it", c.limit, c.key, c.answer.Granted, c.op.Wait, c.at)
			}
			continue
		}
		at := place{c.limit.ID, c.key}
		if models[at] == nil {
			models[at] = limittest.NewModel(c.limit)
		}
		want := models[at].Apply(c.at, c.op)
		if want.Granted != c.answer.Granted || c.op.Kind() != stint.Refund && want.Remaining != c.answer.Remaining {
			return fmt.Errorf("limit %s key %s: %+v at %d is answered %+v, want %+v", c.limit, c.key, c.op, c.at, c.answer, want)
		}
	}
	return nil
}
