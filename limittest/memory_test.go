package limittest_test

import (
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

func openMemory(t testing.TB, clock *limittest.Clock) stint.Store {
	var o stint.MemoryOptions
	if clock != nil {
		o.Clock = clock.Now
	}
	m, err := stint.NewMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemory(t *testing.T) { limittest.Store(t, openMemory) }

func TestMemoryOnItsOwnClock(t *testing.T) {
	limittest.StoreWith(t, limittest.StoreOptions{RealClock: true}, openMemory)
}
