package failover

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// What a call costs beside the memory store: with the store, which is a deadline, and without it.
func BenchmarkOne(b *testing.B) {
	limit := compiled(b, stint.PerSecond(1000).WithBurst(1_000_000_000))
	whole, err := New(memory(b), Options{Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer whole.Close()
	lost := func(c Choice) *Store {
		s, err := New(nil, Options{
			Default: c, Instances: 1, Retry: time.Hour,
			Open: func(context.Context) (stint.Store, error) { return nil, errors.New("connection refused") },
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		return s
	}
	for _, c := range []struct {
		name  string
		store stint.Store
	}{{"memory", memory(b)}, {"whole", whole}, {"closed", lost(Closed)}, {"open", lost(Open)}, {"local", lost(Local)}} {
		ask := func(b *testing.B) {
			if _, _, err := c.store.One(context.Background(), limit, "192.0.2.17", stint.TakeOp(1)); err != nil {
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
