package load

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// The quick way to count is the plain one.
func TestMostWithin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		admissions := make([]admission, random.IntN(40))
		for i := range admissions {
			admissions[i].sent = random.Int64N(100)
			admissions[i].answered = admissions[i].sent + random.Int64N(30)
		}
		length := 1 + random.Int64N(60)
		var want int64
		for x := int64(-60); x <= 130; x++ {
			var within int64
			for _, a := range admissions {
				if a.sent >= x && a.answered < x+length {
					within++
				}
			}
			want = max(want, within)
		}
		if got := newTimeline(admissions).mostWithin(length); got != want {
			t.Fatalf("%d in any %d, want %d: %v", got, length, want, admissions)
		}
		var bySent int64
		for x := int64(-60); x <= 130; x++ {
			var within int64
			for _, a := range admissions {
				if a.sent >= x && a.sent < x+length {
					within++
				}
			}
			bySent = max(bySent, within)
		}
		if got := mostAt(admissions, length, func(a admission) int64 { return a.sent }); got != bySent {
			t.Fatalf("%d by sent in any %d, want %d: %v", got, length, bySent, admissions)
		}
	}
}

// at is n admissions that took no time, every so often from an instant on.
func at(first time.Duration, n int, every time.Duration) (all []admission) {
	for i := range n {
		instant := int64(first + time.Duration(i)*every)
		all = append(all, admission{instant, instant})
	}
	return all
}

func TestVerdicts(t *testing.T) {
	late := at(0, 10, 0)
	for i := range late {
		late[i].answered += int64(50 * time.Millisecond)
	}
	for _, c := range []struct {
		name       string
		limit      stint.Limit
		admissions []admission
		held       bool
	}{
		{"nothing", stint.PerSecond(10), nil, true},
		{"as much as allowed", stint.PerSecond(10), at(0, 10, 0), true},
		{"one more", stint.PerSecond(10), at(0, 11, 0), false},
		{"again after the window", stint.PerSecond(10), append(at(0, 10, 0), at(time.Second, 10, 0)...), true},
		{"again just before", stint.PerSecond(10), append(at(0, 10, 0), at(990*time.Millisecond, 10, 0)...), false},
		{"again before, as it seems, by two clocks", stint.PerSecond(10), append(at(0, 10, 0), at(999600*time.Microsecond, 10, 0)...), true},
		// Ten were answered late, so they can have been admitted at 0.05 s; the next ten by their answers only seem too early.
		{"jitter", stint.PerSecond(10), append(late, at(time.Second+time.Millisecond, 10, 0)...), true},
		{"bucket: burst", stint.PerHour(10).WithBurst(20), at(0, 20, 0), true},
		{"bucket: more than the burst at once", stint.PerHour(10).WithBurst(20), at(0, 21, 0), false},
		{"bucket: burst and an hour's refill", stint.PerHour(10).WithBurst(20), append(at(0, 20, 0), at(6*time.Minute, 9, 6*time.Minute)...), true},
		{"bucket: twice the rate for long", stint.PerHour(10).WithBurst(20), at(0, 100, 3*time.Minute), false},
		{"nothing allowed", stint.PerHour(0), at(0, 1, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit, err := c.limit.Compile()
			if err != nil {
				t.Fatal(err)
			}
			var elapsed time.Duration
			for _, a := range c.admissions {
				elapsed = max(elapsed, time.Duration(a.answered))
			}
			verdicts, held := judge([]*stint.Limit{limit}, newTimeline(c.admissions), elapsed+1)
			if held != c.held || verdicts[0].Held != c.held {
				t.Errorf("held %v, want %v: %+v", held, c.held, verdicts[0])
			}
			if broken := verdicts[0].Admitted > verdicts[0].Allowed; broken == c.held {
				t.Errorf("the verdict's numbers do not say why: %+v", verdicts[0])
			}
		})
	}
}

func TestWindows(t *testing.T) {
	for _, c := range []struct{ per, elapsed time.Duration }{
		{time.Second, 0}, {time.Second, time.Second}, {time.Second, 10 * time.Second}, {time.Hour, time.Minute},
		{time.Microsecond, time.Hour}, {366 * 24 * time.Hour, time.Second}, {1 << 62, 1<<63 - 1},
	} {
		all := windows(c.per, c.elapsed)
		if all[0] != c.per || len(all) > 64 {
			t.Errorf("windows(%v, %v) = %v", c.per, c.elapsed, all)
		}
		longest := time.Duration(0)
		for _, w := range all {
			longest = max(longest, w)
			if w <= 0 {
				t.Errorf("windows(%v, %v) = %v", c.per, c.elapsed, all)
			}
		}
		if longest < c.elapsed {
			t.Errorf("windows(%v, %v) end at %v", c.per, c.elapsed, longest)
		}
	}
}
