package sql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
	"github.com/stint-go/stint/record"
	"github.com/stint-go/stint/sqlstore"
)

// A row that is damaged is an error for its own key, and never a new key.
func TestSQLDamagedRow(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, address string) {
		db, parameter := direct(t, address)
		s := opened(t, address, sqlstore.Options{})
		l, err := stint.PerHour(5).WithID("damaged").Compile()
		if err != nil {
			t.Fatal(err)
		}
		claims := []stint.Claim{stint.NewClaim(l, "a", 1), stint.NewClaim(l, "b", 1), stint.NewClaim(l, "a", 1)}
		into := make([]stint.Outcome, len(claims))
		if err := s.Many(ctx, claims, into); err != nil || into[2].Remaining != 3 {
			t.Fatalf("%+v, %v", into, err)
		}
		for value, want := range map[string]error{"\x02something": record.ErrFormat, "\x01something": record.ErrDamaged} {
			marker := "cells = " + parameter
			statement := "UPDATE stint_keys SET " + marker + " WHERE k = "
			if parameter == "$1" {
				statement += "$2"
			} else {
				statement += "?"
			}
			if _, err := db.ExecContext(ctx, statement, []byte(value), record.AppendKey(nil, l.ID, "a")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.One(ctx, l, "a", stint.TakeOp(1)); !errors.Is(err, want) {
				t.Errorf("a take: %v, want %v", err, want)
			}
			if _, _, err := s.One(ctx, l, "a", stint.LookOp(1)); !errors.Is(err, want) {
				t.Errorf("a look: %v, want %v", err, want)
			}
			if err := s.All(ctx, claims[:2], into[:2]); !errors.Is(err, want) {
				t.Errorf("all: %v, want %v", err, want)
			}
			if err := s.Block(ctx, l, "a", time.Minute); !errors.Is(err, want) {
				t.Errorf("a block: %v, want %v", err, want)
			}
			before := left(t, s, l, "b")
			if err := s.Many(ctx, claims, into); err != nil || !errors.Is(into[0].Err, want) || !errors.Is(into[2].Err, want) || into[1].Err != nil || into[1].Remaining != before-1 {
				t.Errorf("many: %+v, %v", into, err)
			}
		}
	})
}

// A process that has never seen the values under which a key was counted carries it over.
func TestSQLCarriesOverBetweenProcesses(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, address string) {
		for _, strategy := range limittest.Strategies() {
			first, second := opened(t, address, sqlstore.Options{}), opened(t, address, sqlstore.Options{})
			old, err := stint.Limit{ID: "carried " + strategy.Name(), Units: 10, Per: 24 * time.Hour, Strategy: strategy}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			now, err := stint.PerDay(20).WithStrategy(stint.IntervalBucket{}).WithID(old.ID).Compile()
			if err != nil {
				t.Fatal(err)
			}
			if a, _, err := first.One(ctx, old, "k", stint.ChargeOp(5)); err != nil || a.Granted != 5 {
				t.Fatalf("%+v, %v", a, err)
			}
			if n := left(t, second, now, "k"); n != 10 {
				t.Errorf("%s: half of 10 used leaves %d of 20", strategy.Name(), n)
			}
			if a, _, err := second.One(ctx, now, "k", stint.TakeOp(1)); err != nil || a.Remaining != 9 {
				t.Errorf("%s: a take after the change: %+v, %v", strategy.Name(), a, err)
			}
			first.Close()
			second.Close()
		}
	})
}

// Rows are removed when they say nothing any more, and not before; whatever is removed, every key answers as its model.
func TestSQLSweep(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, address string) {
		db, _ := direct(t, address)
		var clock limittest.Clock
		s := opened(t, address, sqlstore.Options{Clock: clock.Now, Relaxed: address[:5] != "mysql"})
		random := rand.New(rand.NewPCG(1, 3))
		models := map[string]*record.Record{}
		for _, strategy := range limittest.Strategies() {
			l, err := stint.Limit{ID: strategy.Name(), Units: 5, Per: time.Second, Strategy: strategy}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			for range 60 {
				key := fmt.Sprint("k", random.IntN(5))
				model := models[l.ID+key]
				if model == nil {
					model = new(record.Record)
					models[l.ID+key] = model
				}
				op := stint.TakeOp(1 + random.Int64N(3))
				switch random.IntN(15) {
				case 0:
					op = stint.ResetOp()
				case 1:
					if err := s.Block(ctx, l, key, 300*time.Millisecond); err != nil {
						t.Fatal(err)
					}
					model.Block(clock.Now(), clock.Now()+300_000)
				}
				got, _, err := s.One(ctx, l, key, op)
				want, _ := model.Step(l, clock.Now(), op, nil)
				if err != nil || got != want.Answer {
					t.Fatalf("%s %s: %+v: got %+v (%v), want %+v", l.ID, key, op, got, err, want.Answer)
				}
				clock.Advance(random.Int64N(400_000))
				if random.IntN(3) == 0 {
					if random.IntN(2) == 0 {
						clock.Advance(61_000_000) // after it rows that say nothing may go
					}
					if err := s.Sweep(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		rows := func() (n int) {
			if err := db.QueryRowContext(ctx, "SELECT count(*) FROM stint_keys").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		l := lasting(t, "lasts", 5)
		claims := make([]stint.Claim, 0, 3000)
		for i := range cap(claims) {
			claims = append(claims, stint.NewClaim(l, fmt.Sprint("k", i), 1))
		}
		if err := s.Many(ctx, claims, make([]stint.Outcome, len(claims))); err != nil {
			t.Fatal(err)
		}
		clock.Advance((62 * 24 * time.Hour).Microseconds())
		if err := s.Sweep(ctx); err != nil || rows() != len(claims) {
			t.Fatalf("%d rows of %d that last (%v)", rows(), len(claims), err)
		}
		clock.Advance((1000 * 24 * time.Hour).Microseconds())
		if err := s.Sweep(ctx); err != nil || rows() != 0 {
			t.Fatalf("%d rows are left when all have ended (%v)", rows(), err)
		}
		if s.Stats().Removed < int64(len(claims)) {
			t.Errorf("%+v", s.Stats())
		}
	})
}
