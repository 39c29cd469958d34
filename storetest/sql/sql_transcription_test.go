package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/record"
	"github.com/stint-go/stint/sqlstore"
)

// Every statement that stands for a strategy's take answers as the strategy does, step by step, on random traces: limits at the ends of
// what numbers can say, debts, blocks and resets between, a clock that jumps ahead and back over the whole range.
func TestSQLTranscriptions(t *testing.T) {
	each(t, func(t *testing.T, address string) {
		if strings.HasPrefix(address, "sqlite:") {
			t.Log("left out: every take is a transaction there, which is no round trip in a file")
			return
		}
		var clock limittest.Clock
		store := opened(t, address, sqlstore.Options{Clock: clock.Now})
		db, parameter := direct(t, address)
		random := rand.New(rand.NewPCG(7, 11))
		for range 30 {
			for _, strategy := range []stint.Strategy{
				stint.TokenBucket{}, stint.Pacing{}, stint.FixedWindow{}, stint.SlidingCounter{}, stint.IntervalBucket{}, stint.CalendarWindow{},
			} {
				traceTranscription(t, random, store, db, parameter, &clock, strategy)
			}
		}
	})
}

func traceTranscription(t *testing.T, random *rand.Rand, store stint.Store, db *sql.DB, parameter string, clock *limittest.Clock, strategy stint.Strategy) {
	t.Helper()
	l := randomLimit(random, strategy)
	if l == nil {
		return
	}
	ctx := context.Background()
	var model record.Record
	clock.Set(random.Int64N(stint.MaxInstant))
	for step := range 30 {
		switch random.IntN(6) {
		case 0:
			clock.Set(random.Int64N(stint.MaxInstant))
		case 1:
			clock.Set(max(0, clock.Now()-random.Int64N(3*l.Ticks()+2)))
		case 2, 3:
			clock.Set(min(stint.MaxInstant, clock.Now()+random.Int64N(l.Ticks()+2)))
		}
		op := stint.TakeOp(1 + random.Int64N(min(l.Capacity(), math.MaxInt64-1)))
		switch random.IntN(12) {
		case 0:
			op = stint.ChargeOp(1 + random.Int64())
		case 1:
			op = stint.TakeOp(l.Capacity())
		case 2:
			op = stint.ResetOp()
		case 3, 4, 5, 6, 7:
			op = stint.TakeOp(1 + random.Int64N(min(3, l.Capacity())))
		}
		// Several takes of the key in one call follow each other, in one statement or not.
		claims := []stint.Claim{{Limit: l, Key: "k", Op: op}}
		for op.Kind() == stint.Grant && len(claims) < 4 && random.IntN(2) == 0 {
			next := stint.TakeOp(1 + random.Int64N(min(3, l.Capacity())))
			if random.IntN(4) == 0 {
				next = stint.UpToOp(1 + random.Int64N(min(9, l.Capacity())))
			}
			claims = append(claims, stint.Claim{Limit: l, Key: "k", Op: next})
		}
		got := make([]stint.Outcome, len(claims))
		var err error
		if len(claims) == 1 {
			got[0].Answer, got[0].Mark, err = store.One(ctx, l, "k", op)
		} else {
			err = store.Many(ctx, claims, got)
		}
		for i, c := range claims {
			want, _ := model.Step(l, clock.Now(), c.Op, nil)
			if err != nil || got[i] != want {
				t.Fatalf("%s %d/%v burst %d, step %d, %+v at %d: got %+v (%v), want %+v", strategy.Name(), l.Units, l.Per, l.Burst, step, c.Op,
					clock.Now(), got[i], err, want)
			}
		}
		var kept stint.State
		row := db.QueryRowContext(ctx, "SELECT a, b, c FROM stint_keys WHERE k = "+parameter, record.AppendKey(nil, l.ID, "k"))
		if err := row.Scan(&kept.A, &kept.B, &kept.C); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if s := model.State; kept.A != s.A || kept.B != s.B || kept.C != s.C {
			t.Fatalf("%s %d/%v burst %d, step %d, %+v at %d: keeps %+v, want %+v", strategy.Name(), l.Units, l.Per, l.Burst, step, op, clock.Now(), kept, s)
		}
	}
}

// randomLimit is a limit of the strategy with numbers of any size; nil if it refuses them.
func randomLimit(random *rand.Rand, strategy stint.Strategy) *stint.Limit {
	l := stint.Limit{
		Units:    1 + random.Int64()>>random.IntN(63),
		Per:      time.Duration(1+random.Int64N(1<<50)>>random.IntN(50)) * stint.Tick,
		Strategy: strategy,
	}
	if random.IntN(2) == 0 {
		l.Units = 1 + random.Int64N(20)
	}
	if random.IntN(3) == 0 {
		l.Burst = 1 + random.Int64()>>random.IntN(63)
	}
	c, err := l.WithID(fmt.Sprint("trace ", random.Uint64())).Compile()
	if err != nil {
		return nil
	}
	return c
}
