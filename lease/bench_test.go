package lease_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/lease"
)

// benchmarkStore is a store of leases around a memory store, which keys[i] has a lease of.
func benchmarkStore(b *testing.B, keys ...string) (*lease.Store, *stint.Limit) {
	b.Helper()
	memory, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := lease.New(memory, lease.Options{Life: time.Hour, MaxBlock: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	limit, err := stint.PerSecond(1 << 20).WithBurst(1 << 50).Compile()
	if err != nil {
		b.Fatal(err)
	}
	for range 200 {
		for _, key := range keys {
			if _, _, err := s.One(context.Background(), limit, key, stint.TakeOp(1)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	return s, limit
}

func BenchmarkSpend(b *testing.B) {
	s, limit := benchmarkStore(b, "user:1")
	ctx := context.Background()
	for b.Loop() {
		s.One(ctx, limit, "user:1", stint.TakeOp(1))
	}
	st := s.Stats()
	b.ReportMetric(float64(st.Trips)/float64(b.N), "trips/op")
}

func BenchmarkSpendAtOnce(b *testing.B) {
	s, limit := benchmarkStore(b, "user:1")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.One(context.Background(), limit, "user:1", stint.TakeOp(1))
		}
	})
}

func BenchmarkSpendManyKeys(b *testing.B) {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprint("user:", i)
	}
	s, limit := benchmarkStore(b, keys...)
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		s.One(ctx, limit, keys[i*7%len(keys)], stint.TakeOp(1))
	}
}

func BenchmarkTake(b *testing.B) {
	s, limit := benchmarkStore(b, "user:1")
	limiter, err := stint.NewWith(stint.Options{Store: s}, *limit)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		limiter.Take(context.Background(), "user:1", 1)
	}
}

// What a key costs that comes once: nothing is kept of it.
func BenchmarkColdKeys(b *testing.B) {
	s, limit := benchmarkStore(b)
	keys := make([]string, 1<<20)
	for i := range keys {
		keys[i] = fmt.Sprint("user:", i)
	}
	ctx := context.Background()
	for i := 0; b.Loop(); i++ {
		s.One(ctx, limit, keys[i&(len(keys)-1)], stint.TakeOp(1))
	}
}
