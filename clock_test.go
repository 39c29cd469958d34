package stint

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// clockRig is a clock whose readings are made up.
type clockRig struct {
	clock
	nanos   int64   // of the machine's clock, since base
	count   float64 // of the processor's counter
	perNano float64
}

func newClockRig(perNano float64) *clockRig {
	r := &clockRig{count: 1e6, perNano: perNano}
	r.begin()
	r.steady = true
	return r
}

func (r *clockRig) pass(d time.Duration) {
	r.nanos += int64(d)
	r.count += float64(d) * r.perNano
}

// read is what clock.read does.
func (r *clockRig) read() {
	c := uint64(r.count)
	r.learn(c-20, r.nanos, c+20)
}

// told is the instant that the clock tells, relative to the true one, if it tells any.
func (r *clockRig) told() (off int64, ok bool) {
	now, ok := r.at(uint64(r.count))
	return now - (r.start + r.nanos/int64(Tick)), ok
}

// Whatever the counter's rate, the clock is off by a tick at most, and follows the counter for a millisecond at most.
func TestClockFollowsTheCounter(t *testing.T) {
	for _, perNano := range []float64{0.0125, 0.024, 1, 2.445, 5.9, 99} {
		r := newClockRig(perNano)
		source := rand.New(rand.NewPCG(1, 2))
		told := 0
		for range 200_000 {
			r.pass(time.Duration(source.Int64N(int64(30 * time.Microsecond))))
			off, ok := r.told()
			if !ok {
				r.read()
				continue
			}
			if told++; off < -1 || off > 1 {
				t.Fatalf("%v counts a nanosecond: off by %d ticks", perNano, off)
			}
		}
		if told < 190_000 {
			t.Errorf("%v counts a nanosecond: only %d of 200,000 instants told", perNano, told)
		}
	}
}

// A counter that is too slow to tell ticks apart, stands still or runs away is never followed.
func TestClockRefusesBadCounters(t *testing.T) {
	for _, perNano := range []float64{0, 0.001, 1000} {
		r := newClockRig(perNano)
		for range 100_000 {
			r.pass(100 * time.Microsecond)
			if _, ok := r.told(); ok {
				t.Fatalf("%v counts a nanosecond: followed", perNano)
			}
			r.read()
		}
	}
}

// A counter that changes its rate is left at the next reading, and trusted again only after it has been measured for longer.
func TestClockFindsAChangedRate(t *testing.T) {
	r := newClockRig(2.4)
	busy := func(d time.Duration) (told int, worst int64) {
		for end := r.nanos + int64(d); r.nanos < end; {
			r.pass(10 * time.Microsecond)
			off, ok := r.told()
			if !ok {
				r.read()
				continue
			}
			told++
			worst = max(worst, off, -off)
		}
		return told, worst
	}
	if told, worst := busy(time.Second); told == 0 || worst > 1 {
		t.Fatalf("before: told %d, off by %d", told, worst)
	}
	r.perNano = 3
	if _, worst := busy(2 * time.Second); worst > 1000 {
		t.Errorf("at the change: off by %d ticks, more than a millisecond", worst)
	}
	if told, worst := busy(time.Second); told == 0 || worst > 1 {
		t.Errorf("after it: told %d, off by %d", told, worst)
	}
}

// What comes between a reading of the clock and those of the counter around it makes the reading worthless.
func TestClockLeavesOutTornReadings(t *testing.T) {
	r := newClockRig(2.4)
	for range 1000 {
		r.pass(100 * time.Microsecond)
		c := uint64(r.count)
		r.learn(c-1_000_000, r.nanos, c)
		if _, ok := r.told(); ok {
			t.Fatal("a torn reading became an anchor")
		}
	}
}

// Calls that are far apart read the machine's clock, and leave nothing behind.
func TestClockWithRareCalls(t *testing.T) {
	r := newClockRig(2.4)
	for range 100 {
		r.pass(time.Second)
		if _, ok := r.told(); ok {
			t.Fatal("told a second after the last reading")
		}
		r.read()
	}
	if n := testing.AllocsPerRun(100, func() { r.pass(time.Second); r.read() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A counter that steps back, by more than a millisecond, as on another core of a broken machine, is not followed.
func TestClockAfterAStepBack(t *testing.T) {
	r := newClockRig(2.4)
	for range 1000 {
		r.pass(100 * time.Microsecond)
		if _, ok := r.told(); !ok {
			r.read()
		}
	}
	r.count -= 1e7
	if _, ok := r.told(); ok {
		t.Error("followed a counter that stepped back")
	}
}

// On this machine the clock agrees with time.Since, taken before and after.
func TestClockOfThisMachine(t *testing.T) {
	var c clock
	c.begin()
	told := 0
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		before := c.start + int64(time.Since(c.base)/Tick)
		now, ok := c.now()
		after := c.start + int64(time.Since(c.base)/Tick)
		if !ok {
			c.read()
			continue
		}
		if told++; now < before-2 || now > after+2 {
			t.Fatalf("%d is not between %d and %d", now, before, after)
		}
	}
	t.Logf("%d instants told by the counter", told)
}

// In a bubble of testing/synctest the time is the bubble's.
func TestClockInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := NewMemory(MemoryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewWith(Options{Store: m}, Every(time.Hour).WithBurst(1))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if !l.Allow("a") || l.Allow("a") {
				t.Fatal("not one an hour")
			}
			time.Sleep(time.Hour - Tick)
			if l.Allow("a") {
				t.Fatal("a tick early")
			}
			time.Sleep(Tick)
		}
	})
}
