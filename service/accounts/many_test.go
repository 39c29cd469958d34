package accounts

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stint-go/stint/service/database"
)

// BenchmarkLookUpAmong is a look-up in the database, with so many users of a key each. It says, too, how long the start took: the opening
// and the first look-up. The largest size takes minutes and some 2 GB of disk to make:
//
//	go test -run '^$' -bench LookUpAmong -timeout 30m ./accounts
func BenchmarkLookUpAmong(b *testing.B) {
	for _, users := range []int{1_000, 100_000, 10_000_000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			ctx, address := b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "a.db")
			a := open(b, address)
			const numbers = " WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?) "
			for _, statement := range []string{
				"INSERT INTO {user} (name, plan, created_at)" + numbers + "SELECT printf('user-%08d', i), 'pro', 1 FROM numbers",
				"INSERT INTO api_key (id, user_id, hash, scopes, created_at)" + numbers +
					"SELECT printf('%08d', i), i, CAST(printf('%032d', i) AS BLOB), 1, 1 FROM numbers",
			} {
				if _, err := a.db.Exec(ctx, statement, users); err != nil {
					b.Fatal(err)
				}
			}
			ok(b, a.db.Close())

			hashOfUser := func(i int) [sha256.Size]byte { return [sha256.Size]byte(fmt.Appendf(nil, "%032d", i)) }
			begun := time.Now()
			db := must[*database.DB](b)(database.Open(ctx, address, database.Options{}))
			defer db.Close()
			a = New(db)
			shared := must[*sharedValues](b)(a.sharedValues(ctx))
			must[*identity](b)(a.lookup(ctx, hashOfUser(users/2), shared))
			started := time.Since(begun)
			for b.Loop() {
				i := 1 + rand.IntN(users)
				found, err := a.lookup(ctx, hashOfUser(i), shared)
				if err != nil || found == nil || found.caller.User != fmt.Sprintf("user-%08d", i) {
					b.Fatal(found, err)
				}
			}
			b.ReportMetric(float64(started.Milliseconds()), "ms-start")
		})
	}
}
