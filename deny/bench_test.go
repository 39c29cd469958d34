package deny

import (
	"context"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// What a call costs beside the memory store: refused out of memory, and passed on.
func BenchmarkOne(b *testing.B) {
	wrapped, err := New(memory(b), Options{TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	full, roomy := compiled(b, stint.PerDay(0)), compiled(b, stint.PerSecond(1000).WithBurst(1_000_000_000))
	inner := memory(b)
	for _, c := range []struct {
		name  string
		store stint.Store
		limit *stint.Limit
	}{{"refused/memory", inner, full}, {"refused/deny", wrapped, full}, {"admitted/memory", inner, roomy}, {"admitted/deny", wrapped, roomy}} {
		ask := func(b *testing.B) {
			if _, _, err := c.store.One(context.Background(), c.limit, "192.0.2.17", stint.TakeOp(1)); err != nil {
				b.Error(err)
			}
		}
		b.Run(c.name+"/callers=1", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask(b)
			}
		})
		b.Run(c.name+"/callers=64", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					ask(b)
				}
			})
		})
	}
}
