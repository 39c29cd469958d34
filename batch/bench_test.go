package batch

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stint-go/stint"
)

// What batching costs where there is nothing to gain: on a memory store. Keys are one, or as many as callers.
func BenchmarkOne(b *testing.B) {
	limit := compiled(b, stint.PerSecond(1000).WithBurst(1_000_000_000))
	inner := memory(b)
	wrapped, err := New(memory(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]stint.Store{"memory": inner, "batch": wrapped} {
		for _, callers := range []int{1, 64} {
			for _, keys := range []int64{1, 64} {
				b.Run(name+"/callers="+strconv.Itoa(callers)+"/keys="+strconv.FormatInt(keys, 10), func(b *testing.B) {
					b.ReportAllocs()
					b.SetParallelism(max(1, callers/2))
					if callers == 1 {
						for b.Loop() {
							if _, _, err := s.One(context.Background(), limit, "k", stint.TakeOp(1)); err != nil {
								b.Fatal(err)
							}
						}
						return
					}
					var next atomic.Int64
					b.RunParallel(func(pb *testing.PB) {
						key := "k" + strconv.FormatInt(next.Add(1)%keys, 10)
						for pb.Next() {
							if _, _, err := s.One(context.Background(), limit, key, stint.TakeOp(1)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				})
			}
		}
	}
}
