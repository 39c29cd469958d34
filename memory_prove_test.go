package stint

import (
	"os"
	"runtime"
	"strconv"
	"testing"
)

// The long form of TestMemoryAtTheBound: a hundred million keys, each seen once, go past a bounded store. `make prove` sets
// STINT_PROVE; without it a hundredth of the keys must do.
func TestProveKeysAtTheBound(t *testing.T) {
	keys, bound := fewer(300_000), int64(fewer(10_000))
	if os.Getenv("STINT_PROVE") != "" {
		keys, bound = 100_000_000, 1_000_000
	}
	for name, limit := range map[string]Limit{"token-bucket": PerHour(100).WithBurst(100), "sliding-window-log": PerHour(100)} {
		t.Run(name, func(t *testing.T) {
			m, clock := newTestMemory(t, MemoryOptions{MaxKeys: bound})
			l := newTestLimiter(t, m, limit)
			heavy := make([]string, 1000)
			for i := range heavy {
				heavy[i] = "heavy " + strconv.Itoa(i)
				if !l.AllowN(heavy[i], 100) {
					t.Fatal("a new key was refused")
				}
			}
			key, most := []byte("flood "), int64(0)
			var memory runtime.MemStats
			refused := 0
			for k := range keys {
				if !l.Allow(string(strconv.AppendInt(key, int64(k), 10))) {
					refused++
				}
				if k%100 == 0 {
					clock.Add(10 * 100) // a flood of 100,000 a second
				}
				if k%(keys/20) == 0 {
					if used := l.AllowN(heavy[k/(keys/20)], 60); used {
						t.Fatalf("after %d keys of the flood a key that had used all was granted 60 again", k)
					}
					most = max(most, m.Stats().Bytes)
				}
			}
			// Each key had its limit at the start; since then only what time gives back may be granted.
			passed := float64(clock.Load()-newManual().Load()) / 3600e6
			for _, h := range heavy {
				d, err := l.TakeUpTo(t.Context(), h, 100)
				if err != nil {
					t.Fatal(err)
				}
				if float64(d.Granted) > 100*passed+1 {
					t.Fatalf("%s was granted %d after %.2f hours", h, d.Granted, passed)
				}
			}
			runtime.ReadMemStats(&memory)
			s := m.Stats()
			t.Logf("%d keys, bound %d: %d kept, %d evicted, %d of the flood refused; tables %d MB at the most, heap %d MB, %.2f hours of store time",
				keys, bound, s.Keys, s.Evicted, refused, most>>20, memory.HeapAlloc>>20, passed)
			if s.Keys > bound+bound/20 {
				t.Errorf("%d keys kept, bound %d", s.Keys, bound)
			}
			if perKey := most / bound; perKey > 400 {
				t.Errorf("%d bytes for each of the keys that may be kept", perKey)
			}
		})
	}
}
