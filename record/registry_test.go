package record_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// table is the part of a store that a registry needs.
type table struct {
	rows         map[uint64]string
	saves, loads int
	err          error
}

func (t *table) registry() *record.Registry {
	return &record.Registry{
		Save: func(_ context.Context, _ string, variant uint64, values string) error {
			t.saves++
			if t.err == nil {
				t.rows[variant] = values
			}
			return t.err
		},
		Load: func(_ context.Context, _ string, variant uint64) (string, error) {
			t.loads++
			return t.rows[variant], t.err
		},
	}
}

func TestRegistryAsksOnce(t *testing.T) {
	ctx := context.Background()
	rows := &table{rows: map[uint64]string{}}
	old, l := compiled(t, stint.PerHour(10)), compiled(t, stint.PerHour(20))
	first, second := rows.registry(), rows.registry()
	for range 3 {
		if err := first.Register(ctx, old); err != nil {
			t.Fatal(err)
		}
		if err := second.Register(ctx, l); err != nil {
			t.Fatal(err)
		}
		if found, err := second.Earlier(ctx)(l, old.Variant()); err != nil || found.Variant() != old.Variant() || found.Units != 10 {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if rows.saves != 2 || rows.loads != 1 {
		t.Errorf("%d saves and %d loads", rows.saves, rows.loads)
	}
	if _, err := second.Earlier(ctx)(l, 12345); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("values that nobody has saved: %v", err)
	}
	rows.err = errors.New("the store is gone")
	third := rows.registry()
	if err := third.Register(ctx, l); !errors.Is(err, rows.err) {
		t.Errorf("a registry whose store is gone: %v", err)
	}
	rows.err = nil
	if err := third.Register(ctx, l); err != nil || rows.saves != 4 {
		t.Errorf("the second try: %v, %d saves", err, rows.saves)
	}
}

// Every built-in strategy comes back out of its values; one that is not here counts its keys as empty until they may be forgotten.
func TestValuesComeBack(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	more := []stint.Strategy{
		stint.CalendarWindow{Every: stint.Week, WeekEnds: time.Saturday, Zone: berlin}, stint.CalendarWindow{Every: stint.Day, Zone: berlin},
	}
	for _, strategy := range append(more, strategies...) {
		old := compiled(t, stint.Limit{Units: 7, Per: time.Second, Strategy: strategy})
		back, err := compiled(t, stint.PerHour(1)).WithValues(old.Values())
		if err != nil || back.Variant() != old.Variant() || back.Strategy.Name() != strategy.Name() || back.Capacity() != 7 {
			t.Errorf("%s: %+v, %v", strategy.Name(), back, err)
		}
	}
	unlimited := compiled(t, stint.Unlimited())
	if back, err := compiled(t, stint.PerHour(1)).WithValues(unlimited.Values()); err != nil || back.Variant() != unlimited.Variant() {
		t.Errorf("unlimited: %+v, %v", back, err)
	}

	asleep, err := compiled(t, stint.PerHour(1)).WithValues("10 1000000 0 1 their-own")
	if err != nil {
		t.Fatal(err)
	}
	l := compiled(t, stint.PerSecond(10).WithBurst(10))
	r := record.Record{Variant: asleep.Variant(), State: stint.State{A: (start + 1000) << 11}}
	earlier := func(*stint.Limit, uint64) (*stint.Limit, error) { return asleep, nil }
	if o, _ := r.Step(l, start, stint.LookOp(1), earlier); o.Remaining != 0 {
		t.Errorf("a strategy that is not here leaves %d", o.Remaining)
	}
	if o, _ := r.Step(l, start+1000, stint.LookOp(1), earlier); o.Remaining != 10 {
		t.Errorf("and at the end %d", o.Remaining)
	}
	for _, values := range []string{"", "x", "1 2 3", "1 2 3 4"} {
		if _, err := l.WithValues(values); err == nil {
			t.Errorf("values %q are accepted", values)
		}
	}
}
