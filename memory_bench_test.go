package stint

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func benchmarkKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%d", i)
	}
	return keys
}

func benchmarkLimiter(b *testing.B, limit Limit) *Limiter {
	l, err := New(limit)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return l
}

func BenchmarkAllowOneKey(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1_000_000_000).WithBurst(1_000_000_000))
	for b.Loop() {
		l.Allow("user:1")
	}
}

func BenchmarkAllowAtOneKey(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1_000_000_000).WithBurst(1_000_000_000))
	at := l.Now()
	for b.Loop() {
		l.AllowAt("user:1", 1, at)
	}
}

func BenchmarkTakeOneKey(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1_000_000_000).WithBurst(1_000_000_000))
	for b.Loop() {
		l.Take(b.Context(), "user:1", 1)
	}
}

func BenchmarkAllowOneKeyParallel(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1_000_000_000).WithBurst(1_000_000_000))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Allow("user:1")
		}
	})
}

func BenchmarkAllowMillionKeys(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1000).WithBurst(1000))
	keys := benchmarkKeys(1_000_000)
	for _, k := range keys {
		l.Allow(k)
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	i := 0
	for b.Loop() {
		l.Allow(keys[i])
		if i++; i == len(keys) {
			i = 0
		}
	}
}

func BenchmarkTakeManyMillionKeys(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1000).WithBurst(1000))
	keys := benchmarkKeys(1_000_000)
	for _, k := range keys {
		l.Allow(k)
	}
	calls := make([]Call, len(keys))
	for i, j := range rand.Perm(len(keys)) {
		calls[i] = Call{keys[j], 1}
	}
	into := make([]Result, 64)
	i := 0
	for b.Loop() {
		l.TakeMany(b.Context(), calls[i:i+64], into)
		if i += 64; i+64 > len(calls) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/decision")
}

func BenchmarkAllowNewKey(b *testing.B) {
	l := benchmarkLimiter(b, PerHour(100).WithBurst(100))
	keys := benchmarkKeys(b.N)
	b.ResetTimer()
	for i := range b.N {
		l.Allow(keys[i])
	}
}

func BenchmarkAllowTwoLimits(b *testing.B) {
	l, err := New(PerSecond(1_000_000_000).WithBurst(1_000_000_000), PerHour(1_000_000_000).WithBurst(1_000_000_000))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Allow("user:1")
	}
}

func BenchmarkAllowSlidingLog(b *testing.B) {
	l := benchmarkLimiter(b, PerSecond(1000))
	for b.Loop() {
		l.Allow("user:1")
	}
}

func BenchmarkHash(b *testing.B) {
	s := newSeed()
	for b.Loop() {
		s.hash("user:123456")
	}
}
