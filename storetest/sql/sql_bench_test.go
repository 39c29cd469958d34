package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/sqlstore"
	"github.com/stint-go/stint/storetest/servers"
)

// Durable servers, which wait for the disk. `go test -run '^$' -bench SQL .` says decisions a second; one is a single call of one of
// 16 callers, many a call with 256 claims of one of 4.
func BenchmarkSQL(b *testing.B) {
	for _, e := range []engine{
		{"postgres", func(t testing.TB) string { t.Helper(); return servers.NewPostgres(t).Database(t) }},
		{"mariadb", func(t testing.TB) string { t.Helper(); return servers.NewMariaDB(t).Database(t) }},
		{"sqlite", func(t testing.TB) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "limits.db") }},
	} {
		b.Run(e.name, func(b *testing.B) {
			store := opened(b, e.address(b), sqlstore.Options{Connections: 16})
			for _, strategy := range []stint.Strategy{stint.TokenBucket{}, stint.SlidingLog{}} {
				for _, keys := range []int{1, 100_000} {
					for _, size := range []int{1, 256} {
						b.Run(fmt.Sprintf("%s/keys=%d/claims=%d", strategy.Name(), keys, size), func(b *testing.B) {
							benchmarkSQL(b, store, strategy, keys, size)
						})
					}
				}
			}
		})
	}
}

func benchmarkSQL(b *testing.B, store stint.Store, strategy stint.Strategy, keys, size int) {
	// A key is not as good as new again at once, nor empty while it is measured.
	l := stint.Limit{ID: fmt.Sprint("bench ", rand.Uint64()), Units: 1_000_000, Per: time.Minute, Strategy: strategy}
	if _, bucket := strategy.(stint.TokenBucket); bucket {
		l.Units, l.Burst = 1, 1_000_000
	}
	limit, err := l.Compile()
	if err != nil {
		b.Fatal(err)
	}
	callers := 4
	if size == 1 {
		callers = 16
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			claims, into := make([]stint.Claim, size), make([]stint.Outcome, size)
			for left.Add(-int64(size)) > -int64(size) {
				for i := range claims {
					claims[i] = stint.NewClaim(limit, fmt.Sprint("key", rand.IntN(keys)), 1)
				}
				if size == 1 {
					_, _, err := store.One(context.Background(), limit, claims[0].Key, claims[0].Op)
					if err != nil {
						b.Error(err)
						return
					}
					continue
				}
				if err := store.Many(context.Background(), claims, into); err != nil || into[0].Err != nil {
					b.Error(err, into[0].Err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(0, "ns/op")
}
