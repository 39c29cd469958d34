package fleet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// run is a run under way.
type run struct {
	plan      Plan
	born      time.Time
	depot     *depot
	processes []*process // all that ever were
}

// Result is what a run showed, and what is wrong with it.
type Result struct {
	Granted, Leased int64   // units
	Alone           int64   // units granted without the store
	Lost            int64   // units charged whose charge the process did not hear of
	Losses          int64   // of the store's state
	Latest          float64 // what a bucket granted beyond B + r·|I|, as a part of E
	Err             error
}

// Run runs a plan in a bubble of virtual time.
func Run(t *testing.T, p Plan) (res Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &run{plan: p, born: time.Now()}
		r.depot = newDepot(t, p.Begins)
		if res.Err = r.goThrough(); res.Err == nil {
			res = r.judge()
		}
	})
	return res
}

// goThrough lives through the plan to its end.
func (r *run) goThrough() error {
	lives := make([]int, r.plan.Processes)
	alive := make([]*process, r.plan.Processes)
	begin := func(number int) error {
		p, err := r.start(number, lives[number])
		if err != nil {
			return err
		}
		lives[number]++
		alive[number] = p
		r.processes = append(r.processes, p)
		return nil
	}
	for number := range alive {
		if err := begin(number); err != nil {
			return err
		}
	}
	var wrong error // the first that is; the others live on to their end
	f := &r.plan.Faults
	var timers []*time.Timer
	for _, at := range f.Losses {
		timers = append(timers, time.AfterFunc(at, r.depot.lose))
	}
	for _, s := range f.Steps {
		timers = append(timers, time.AfterFunc(s.at, func() { r.depot.step(s.by) }))
	}
	for at := r.plan.Life / 3; at < r.plan.Lasts; at += r.plan.Life {
		timers = append(timers, time.AfterFunc(at, r.depot.compact))
	}
	for _, c := range sorted(f.Crashes) {
		time.Sleep(c.at - time.Since(r.born))
		if err := r.crash(alive[c.process]); err != nil && wrong == nil {
			wrong = err
		}
		time.Sleep(c.pause)
		if err := begin(c.process); err != nil {
			return err
		}
	}
	for _, p := range alive {
		p.callers.Wait()
	}
	for _, timer := range timers {
		timer.Stop()
	}
	// Nobody calls any more, and after a while nothing is cut any more.
	r.depot.calm.Store(true)
	for _, cut := range f.Partitions {
		time.Sleep(cut.to - time.Since(r.born))
	}
	if err := r.nothingStranded(alive); err != nil && wrong == nil {
		wrong = err
	}
	for _, p := range alive {
		if err := p.leases.Close(); err != nil && wrong == nil {
			wrong = fmt.Errorf("close: %w", err)
		}
	}
	r.depot.messages.Wait()
	return wrong
}
