package fleet

import (
	"flag"
	"testing"

	"github.com/stint-go/stint/failover"
)

var (
	runs = flag.Int("fleet.runs", 40, "fleet: how many runs, of seeds one after the other")
	seed = flag.Uint64("fleet.seed", 1, "fleet: the first seed")
)

// TestFleet holds fleets of processes with leases to their bound.
func TestFleet(t *testing.T) { sail(t, Waters{}) }

// TestFleetThatLosesItsStore holds them to the bound of a store that loses its state.
func TestFleetThatLosesItsStore(t *testing.T) { sail(t, Waters{Losses: true}) }

// TestFleetThatRefuses holds fleets to the same bound whose processes refuse while they cannot reach the store.
func TestFleetThatRefuses(t *testing.T) { sail(t, Waters{Failover: true}) }

// TestFleetOfShares holds fleets whose processes enforce their share while they cannot reach the store to the sum of both bounds.
func TestFleetOfShares(t *testing.T) {
	sail(t, Waters{Failover: true, Choice: failover.Local, Losses: true})
}

// TestFleetWhoseStoreSteps holds them to the bound of a store whose clock steps ahead and back.
func TestFleetWhoseStoreSteps(t *testing.T) { sail(t, Waters{Steps: true}) }

func sail(t *testing.T, w Waters) {
	var all Result
	for s := *seed; s < *seed+uint64(*runs); s++ {
		res := Run(t, Draw(s, w))
		if res.Err != nil {
			t.Errorf("seed %d: %v\nagain: go test ./fleet -run '%s$' -fleet.seed=%d -fleet.runs=1", s, res.Err, t.Name(), s)
			if t.Failed() && *runs > 1 {
				return
			}
		}
		all.Granted += res.Granted
		all.Leased += res.Leased
		all.Lost += res.Lost
		all.Losses += res.Losses
		all.Alone += res.Alone
		all.Latest = max(all.Latest, res.Latest)
	}
	t.Logf("%d runs: %d units granted, %d without the store; %d leased, %d charged and lost on the way, %d losses of the store; %.2f E late at most", *runs,
		all.Granted, all.Alone, all.Leased, all.Lost, all.Losses, all.Latest)
	if *runs >= 40 && (all.Leased*4 < all.Granted || all.Lost == 0) {
		t.Error("the fleet hardly leases, or nothing goes wrong: it shows nothing")
	}
}
