package stint

import (
	"math"
	"testing"
	"time"
)

// benchmarkedLimits is a limit of each strategy, in each of its forms.
func benchmarkedLimits() []struct {
	name  string
	limit Limit
} {
	return []struct {
		name  string
		limit Limit
	}{
		{"token-bucket", PerSecond(1000).WithBurst(100)},
		{"token-bucket-wide", Limit{Units: 600_000_001, Per: time.Second, Burst: 600, Strategy: TokenBucket{}}},
		{"pacing", PerSecond(1000).WithBurst(100).WithStrategy(Pacing{})},
		{"interval-bucket", PerSecond(1000).WithStrategy(IntervalBucket{})},
		{"fixed-window", PerSecond(1000).WithStrategy(FixedWindow{})},
		{"calendar-window", PerCalendarMonth(math.MaxInt64, nil)},
		{"sliding-window-counter", PerSecond(1000).WithStrategy(SlidingCounter{})},
		{"sliding-window-counter-wide", PerSecond(1_000_000).WithStrategy(SlidingCounter{})},
		{"sliding-window-log-10", PerSecond(10).WithStrategy(SlidingLog{})},
		{"sliding-window-log-1000", PerSecond(1000).WithStrategy(SlidingLog{})},
		{"sliding-window-log-100000", PerSecond(100_000).WithStrategy(SlidingLog{})},
		{"concurrency", PerSecond(1000).WithStrategy(Concurrency{})},
		{"unlimited", Unlimited()},
	}
}

// A key that takes a unit every 900 µs: the steady state of most.
func BenchmarkApplyTake(b *testing.B) {
	for _, c := range benchmarkedLimits() {
		l := mustCompile(b, c.limit)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			s, now := State{}, traceStart
			for b.Loop() {
				s, _ = l.Strategy.Apply(s, l, now, TakeOp(1))
				now += 900
			}
		})
	}
}

// A key that has nothing left.
func BenchmarkApplyRefused(b *testing.B) {
	for _, c := range benchmarkedLimits() {
		l := mustCompile(b, c.limit)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			s, now := State{}, traceStart
			for range 1000 {
				s, _ = l.Strategy.Apply(s, l, now-1000, UpToOp(max(1, l.capacity/500)))
				now++
			}
			for b.Loop() {
				s, _ = l.Strategy.Apply(s, l, now, TakeOp(1))
			}
		})
	}
}
