package redisstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// tried are the limits that the script is tried with: usual ones, rates that divide no tick, and the ends of what it can count.
func tried(t *testing.T) []*stint.Limit {
	strategies := []stint.Strategy{
		stint.TokenBucket{}, stint.Pacing{}, stint.FixedWindow{}, stint.SlidingCounter{}, stint.IntervalBucket{}, stint.CalendarWindow{},
		stint.CalendarWindow{Every: stint.Month}, stint.SlidingLog{}, stint.Concurrency{},
	}
	limits := []stint.Limit{
		stint.PerSecond(7), stint.PerSecond(10), stint.PerMinute(100), stint.PerHour(3), stint.PerHour(1000), stint.PerDay(5),
		{Units: 0, Per: time.Second}, {Units: 1, Per: stint.Tick}, {Units: 3, Per: 2 * stint.Tick}, {Units: 1000, Per: stint.Tick},
		{Units: 5, Per: 3 * stint.Tick}, {Units: 2047, Per: 1009 * stint.Tick}, {Units: 4000, Per: time.Minute}, {Units: 100_000, Per: time.Hour},
		{Units: 1 << 33, Per: time.Hour}, {Units: 1 << 50, Per: 24 * time.Hour}, {Units: 1, Per: 365 * 24 * time.Hour},
		{Units: 1 << 52, Per: 365 * 24 * time.Hour}, {Units: math.MaxInt64, Per: time.Hour},
	}
	var all []*stint.Limit
	for _, s := range strategies {
		for i, l := range limits {
			for _, burst := range []int64{0, 5, 1 << 40} {
				c, err := l.WithStrategy(s).WithBurst(burst).WithID(fmt.Sprintf("%s-%s-%d-%d", t.Name(), s.Name(), i, burst)).Compile()
				if err == nil {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// some is a number of units: few, about the capacity, or any.
func some(random *rand.Rand, capacity int64) int64 {
	switch random.IntN(8) {
	case 0:
		return max(1, capacity-random.Int64N(3))
	case 1:
		return 1 + random.Int64N(max(1, capacity))
	case 2:
		return random.Int64()>>random.IntN(63) + 1
	case 3:
		return max(1, capacity/2+1)
	}
	return 1 + random.Int64N(4)
}

func someOp(random *rand.Rand, l *stint.Limit) stint.Op {
	n := some(random, l.Capacity())
	if n < 0 {
		n = stint.Forever
	}
	switch random.IntN(60) {
	case 0:
		return stint.ResetOp() // after which a key is Go's for a while
	case 1, 2, 3, 4, 5:
		return stint.LookOp(n)
	case 6, 7, 8, 9, 10, 11:
		return stint.UpToOp(n)
	case 12, 13, 14:
		return stint.Op{Min: 1 + n/2, Max: n}
	case 15, 16, 17, 18:
		return stint.WithinOp(n, random.Int64N(l.Capacity()%1_000_000_000+10))
	case 19, 20, 21:
		return stint.ChargeOp(n)
	}
	return stint.TakeOp(n)
}

// someTime moves the clock: a little, about a period, far, and now and then back.
func someTime(random *rand.Rand, now int64, l *stint.Limit) int64 {
	period := max(1, int64(l.Per/stint.Tick))
	switch random.IntN(10) {
	case 0:
		now += period - 1 + random.Int64N(3)
	case 1:
		now += random.Int64N(3 * period)
	case 2:
		now -= random.Int64N(period + 1)
	case 3, 4:
		now += random.Int64N(period/8 + 2)
	case 5, 6:
		now += random.Int64N(3)
	}
	return min(max(now, 0), stint.MaxInstant)
}

// TestScriptIsTheStrategy takes every built-in strategy through random traces, many steps in one call of the script, and holds each
// answer to the strategy in Go, and what is stored to the state that the strategy has then.
func TestScriptIsTheStrategy(t *testing.T) {
	emptied(t)
	start := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixMicro()
	now := start
	s := opened(t, Options{Clock: func() int64 { return now }})
	random := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	for _, l := range tried(t) {
		p := s.plan(l)
		before := s.Stats()
		for trace := range 3 {
			now = start + random.Int64N(1<<40)
			if trace == 2 {
				now = stint.MaxInstant - random.Int64N(1<<30)
			}
			key := fmt.Sprint("key", trace)
			var model record.Record
			latest := now
			for range 25 {
				if now = someTime(random, now, l); trace == 1 {
					now = latest + random.Int64N(max(1, int64(l.Per/stint.Tick)/40)+1)
				}
				latest = max(latest, now)
				claims := make([]stint.Claim, 1+random.IntN(6))
				for i := range claims {
					op := someOp(random, l)
					if trace == 1 && random.IntN(3) == 0 {
						op = stint.ChargeOp(1 + random.Int64N(2)) // into debt, with more runs than grants make
					}
					if claims[i] = (stint.Claim{Limit: l, Key: key, Op: op}); i > 0 && random.IntN(3) > 0 {
						claims[i] = claims[i-1]
					}
				}
				into := make([]stint.Outcome, len(claims))
				var err error
				if len(claims) == 1 {
					into[0].Answer, into[0].Mark, err = s.One(ctx, l, key, claims[0].Op)
				} else {
					err = s.Many(ctx, claims, into)
				}
				if err != nil {
					t.Fatal(err)
				}
				history := ""
				for i := range claims {
					was := model.State
					want, _ := model.Step(l, now, claims[i].Op, nil)
					history += fmt.Sprintf("\n%+v %+v → %+v", claims[i].Op, was, want.Answer)
					if into[i] != want {
						t.Fatalf("%s %d/%v at %d, step %d:%s\n got %+v", l.Strategy.Name(), l.Units, l.Per, now-start, i, history, into[i])
					}
				}
				holds(t, s, p, key, &model, now, latest, history)
			}
		}
		after := s.Stats()
		script, byGo := after.ByScript-before.ByScript, after.ByGo-before.ByGo
		if usual := l.Units <= 1000 && l.Burst <= 5 && l.Per >= time.Second && l.Per <= 24*time.Hour; usual && script == 0 {
			t.Errorf("%s %d/%v burst %d: %d by script, %d by Go", l.Strategy.Name(), l.Units, l.Per, l.Burst, script, byGo)
		}
	}
}

// holds says whether the server holds the record, and for long enough.
func holds(t *testing.T, s *Store, p *plan, key string, want *record.Record, now, latest int64, history string) {
	t.Helper()
	at := recordKey(p.limit.ID, key)
	data, err := s.link.client.Get(t.Context(), at).Result()
	if err != nil && data != "" {
		t.Fatal(err)
	}
	got, err := parse(data)
	if err != nil {
		t.Fatalf("%x: %v", data, err)
	}
	if want.State.Forgettable(now) && got.State.Forgettable(now) && got.Reset == want.Reset {
		return
	}
	if !sameState(p, got.State, want.State, now) || got.Reset != want.Reset || got.Variant != want.Variant {
		t.Fatalf("%s %d/%v: stored %+v %v, want %+v %v:%s", p.limit.Strategy.Name(), p.limit.Units, p.limit.Per, got, got.State.Log, want, want.State.Log, history)
	}
	left := s.link.client.PTTL(t.Context(), at).Val()
	if need := time.Duration(min(want.Until(p.limit)-latest, 1<<52)) * stint.Tick; left < need {
		t.Fatalf("%s %d/%v: kept for %v, needed for %v:%s", p.limit.Strategy.Name(), p.limit.Units, p.limit.Per, left, need, history)
	}
	if data[0] != formatAny {
		// A write that does not touch the expiry trusts what the record says of it.
		until := int64(data[9])<<24 | int64(data[10])<<16 | int64(data[11])<<8 | int64(data[12])
		// The clock of the test stands still meanwhile; real time does not.
		if lasts := latest + left.Microseconds() + int64(time.Minute/stint.Tick); until<<20 > lasts || until < math.MaxUint32 && until<<20 < want.Until(p.limit)-1<<20 {
			t.Fatalf("%s %d/%v: says to be kept until %d, is until %d, needed until %d:%s", p.limit.Strategy.Name(), p.limit.Units, p.limit.Per,
				until<<20-now, lasts-now, want.Until(p.limit)-now, history)
		}
	}
}

// sameState compares states; of runs those that count.
func sameState(p *plan, a, b stint.State, now int64) bool {
	if p.limit.Words() <= 3 || a.Log == nil || b.Log == nil {
		return a == b
	}
	return a.A == b.A && slices.Equal(runsOf(p, a, now), runsOf(p, b, now))
}

// runsOf are the runs that count, each with the units up to its end.
func runsOf(p *plan, s stint.State, now int64) (runs []stint.Pair) {
	pairs := s.Log.Pairs()
	before := int64(-1)
	for i := range int(s.C & 0xffff) {
		at := pairs[(int(s.C>>16)+i)%len(pairs)]
		end := s.B
		if i+1 < int(s.C&0xffff) {
			end = pairs[(int(s.C>>16)+i+1)%len(pairs)].Units
		} else {
			at.At = s.A>>fractionBits - p.n.Ticks
		}
		if at.At <= now-p.n.Ticks {
			continue
		}
		if before < 0 {
			before = at.Units
		}
		runs = append(runs, stint.Pair{At: at.At, Units: end - before})
	}
	return runs
}
