package limittest_test

import (
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

func TestTraps(t *testing.T) {
	limittest.Traps(t, limittest.StoreOptions{Bounded: boundedMemory}, openMemory)
}

func boundedMemory(t testing.TB, clock *limittest.Clock, keys int64) stint.Store {
	o := stint.MemoryOptions{MaxKeys: keys}
	if clock != nil {
		o.Clock = clock.Now
	}
	m, err := stint.NewMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
