package limittest

import (
	"context"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"pgregory.net/rapid"
)

// storeChanges: when the values of a limit change under its id, a key keeps the share that it has used, rounded up.
func storeChanges(t *testing.T, s *shelf) {
	spans := []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}
	if s.RealClock { // nothing may refill meanwhile
		spans = []time.Duration{100 * 24 * time.Hour, 300 * 24 * time.Hour, 1000 * 24 * time.Hour}
	}
	s.checks(t, func(t *rapid.T, store stint.Store, _ *Clock) {
		base := s.named(stint.Limit{})
		draw := func(label string) (stint.Limit, *stint.Limit) {
			l := stint.Limit{
				Units:    rapid.Int64Range(1, 200).Draw(t, label+" units"),
				Per:      rapid.SampledFrom(spans).Draw(t, label+" per"),
				Strategy: rapid.SampledFrom(s.Strategies).Draw(t, label+" strategy"),
				ID:       base.ID,
			}
			c, err := l.Compile()
			if err != nil {
				t.Fatalf("%v", err)
			}
			return l, c
		}
		before, was := draw("old")
		after, is := draw("new")
		if !countsUnits(was) || !countsUnits(is) {
			return
		}
		l, err := stint.NewWith(stint.Options{Store: store}, before)
		if err != nil {
			t.Fatalf("%v", err)
		}
		ctx := context.Background()
		used := rapid.Int64Range(0, was.Capacity()).Draw(t, "used")
		if used > 0 {
			if d, err := l.Take(ctx, "k", used); err != nil || !d.Allowed {
				t.Fatalf("%s: take %d: %+v, %v", showLimit(was), used, d, err)
			}
		}
		if err := l.SetLimits(after); err != nil {
			t.Fatalf("%v", err)
		}
		d, err := l.Peek(ctx, "k", 1)
		if err != nil {
			t.Fatalf("%v", err)
		}
		exactly := is.Capacity() * (was.Capacity() - used) / was.Capacity()
		if d.Remaining > exactly || d.Remaining < exactly-1 || used == 0 && d.Remaining != is.Capacity() {
			t.Fatalf("%d of %s used, then %s: %d remain, want %d", used, showLimit(was), showLimit(is), d.Remaining, exactly)
		}
		// Nothing outlasts a period of the new values, or of the old ones in a strategy that cannot know better.
		longest := max(was.Per, is.Per, 31*24*time.Hour)
		if _, two := is.Strategy.(stint.SlidingCounter); two {
			longest = max(longest, 2*is.Per) // it counts the last window while this one fills
		}
		if d.ResetAfter > longest {
			t.Fatalf("%d of %s used, then %s: as good as new after %v", used, showLimit(was), showLimit(is), d.ResetAfter)
		}
	})
}

// storeChangesGainNothing: going back and forth between two versions of a limit, as in a rolling deploy, admits no more than
// the larger one.
func storeChangesGainNothing(t *testing.T, s *shelf) {
	store, _ := s.store(t)
	for _, from := range s.Strategies {
		for _, to := range s.Strategies {
			small := s.lastingOf(t, from, 10)
			large := s.lastingOf(t, to, 37)
			if !countsUnits(small) || !countsUnits(large) {
				continue
			}
			large, err := large.WithID(small.ID).Compile()
			if err != nil {
				t.Fatal(err)
			}
			a, b := limiter(t, store, *small), limiter(t, store, *large)
			admitted := 0.0
			for i := range s.some(200, 30) {
				l, share := a, 1.0/10
				if i%2 == 1 {
					l, share = b, 1.0/37
				}
				if take(t, l, "k", 1).Allowed {
					admitted += share
				}
			}
			if admitted > 1.0001 {
				t.Fatalf("%s and %s in turn: %.3f of a whole capacity admitted", showLimit(small), showLimit(large), admitted)
			}
			if s.RefusesEarly {
				continue
			}
			if admitted < 0.5 {
				t.Fatalf("%s and %s in turn: only %.3f of a whole capacity admitted", showLimit(small), showLimit(large), admitted)
			}
		}
	}
}
