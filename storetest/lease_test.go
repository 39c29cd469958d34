package storetest

import (
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/lease"
	"github.com/stint-go/stint/limittest"
)

const leaseLife = 50 * time.Millisecond

// openLease opens a store of leases around a memory store, both on the clock of the test.
func openLease(t testing.TB, clock *limittest.Clock) stint.Store {
	var inner stint.MemoryOptions
	o := lease.Options{Life: leaseLife, Others: lease.PassThrough}
	if clock != nil {
		inner.Clock, o.Clock = clock.Now, clock.Now
	}
	memory, err := stint.NewMemory(inner)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lease.New(memory, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLease(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RefusesEarly: true, Late: leaseLife}, openLease)
}

// A process that is alone with a store is exact where time does not matter: not one unit is refused early.
func TestLeaseAlone(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true, LeavesOut: map[string]string{
		"law4_all_or_nothing_at_once": "what is on its way back to the store is in no count",
		"changes_gain_nothing":        "what is held under the old values of a limit is lost with them",
	}}, openLease)
}
