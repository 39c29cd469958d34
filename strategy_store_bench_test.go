package stint

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// storeRows are the strategies as the memory store counts them: each key is in use for a while, so that a log has its length.
var storeRows = []struct {
	name   string
	limits func(units int64) []Limit
}{
	{"token-bucket", func(n int64) []Limit { return []Limit{PerDay(n).WithBurst(n)} }},
	{"interval-bucket", func(n int64) []Limit { return []Limit{PerDay(n).WithStrategy(IntervalBucket{})} }},
	{"sliding-window-log", func(n int64) []Limit { return []Limit{PerDay(n)} }},
	{"pacing", func(int64) []Limit { return []Limit{PerSecond(1_000_000).WithStrategy(Pacing{})} }},
	{"two-token-buckets", func(n int64) []Limit { return []Limit{PerDay(n).WithBurst(n), PerHour(n).WithBurst(n)} }},
}

func benchmarkStore(b *testing.B, keys int, ask func(b *testing.B, l *Limiter, key string), limits ...Limit) {
	l, err := New(limits...)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	names := benchmarkKeys(keys)
	for range 20 {
		for _, key := range names {
			ask(b, l, key)
		}
	}
	rand.Shuffle(keys, func(i, j int) { names[i], names[j] = names[j], names[i] })
	for i := range names {
		names[i] = strings.Clone(names[i]) // a request's own key is warm: its bytes lie in the order of use
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		ask(b, l, names[i])
		if i++; i == keys {
			i = 0
		}
	}
}

func benchmarkRows(b *testing.B, keys int, units int64) {
	for _, row := range storeRows {
		b.Run(row.name, func(b *testing.B) {
			benchmarkStore(b, keys, func(_ *testing.B, l *Limiter, key string) { l.Allow(key) }, row.limits(units)...)
		})
	}
	slots := Limit{Units: units, Per: 10 * time.Millisecond, Strategy: Concurrency{}}
	b.Run("slot-taken-and-given-back", func(b *testing.B) {
		benchmarkStore(b, keys, func(b *testing.B, l *Limiter, key string) {
			d, _ := l.Take(b.Context(), key, 1)
			if r, ok := d.Receipt(); ok {
				l.Refund(b.Context(), r)
			}
		}, slots)
	})
	b.Run("slot-reserved-and-cancelled", func(b *testing.B) {
		benchmarkStore(b, keys, func(b *testing.B, l *Limiter, key string) {
			if r, err := l.Reserve(b.Context(), key, 1); err == nil {
				r.Cancel(b.Context())
			}
		}, slots)
	})
}

func BenchmarkStore1kKeys(b *testing.B)   { benchmarkRows(b, 1000, 1_000_000) }
func BenchmarkStore100kKeys(b *testing.B) { benchmarkRows(b, 100_000, 1000) }
