package bench

import (
	"math"
	"runtime"
	"slices"
	"time"
)

// heap is what is reachable, in bytes. What a finalizer holds goes only with a later collection, so it collects until nothing
// more goes.
func heap() int64 {
	var m runtime.MemStats
	least := int64(math.MaxInt64)
	for range 10 {
		runtime.GC()
		runtime.ReadMemStats(&m)
		now := int64(m.HeapAlloc)
		if now > least-64<<10 {
			return min(now, least)
		}
		least = now
	}
	return least
}

// Sizes are n sizes from the first to the last, each the same factor above the one before: a table that grows in steps shows
// its best and its worst.
func Sizes(first, last, n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = int(math.Round(float64(first) * math.Pow(float64(last)/float64(first), float64(i)/float64(n-1))))
	}
	return sizes
}

// Footprint grows one limiter through the sizes and says what it keeps for a live key at each, in bytes. Every key is a string
// of its own, so who keeps the key keeps its bytes too.
func Footprint(c Contestant, sizes []int) ([]float64, error) {
	empty := heap()
	s, err := c.New(live)
	if err != nil {
		return nil, err
	}
	defer s.close()
	decide := s.NewDecider()
	perKey := make([]float64, len(sizes))
	for i, keys := 0, 0; i < len(sizes); i++ {
		for ; keys < sizes[i]; keys++ {
			decide([]string{string(appendKey(nil, keys))})
		}
		perKey[i] = float64(heap()-empty) / float64(keys)
	}
	runtime.KeepAlive(decide)
	return perKey, nil
}

// Expired says what became of the memory of keys that all expired, in bytes.
type Expired struct {
	Peak, After int64
	Longest     time.Duration // of the calls for the new keys, while memory was given back
}

// Expire fills a limiter with n keys, waits until all of them are as good as new, twice over, and then asks for a tenth as many
// new keys, evenly spread over ttl. Within ttl the machine must be able to make n keys.
func Expire(c Contestant, n int, ttl time.Duration) (Expired, error) {
	empty := heap()
	s, err := c.New(Limit{Every: ttl, Burst: 1})
	if err != nil {
		return Expired{}, err
	}
	defer s.close()
	decide := s.NewDecider()
	for i := range n {
		decide([]string{string(appendKey(nil, i))})
	}
	e := Expired{Peak: heap() - empty}
	time.Sleep(2*ttl + ttl/4)
	began := time.Now()
	for i := range n / 10 {
		time.Sleep(time.Until(began.Add(time.Duration(float64(ttl) * float64(i) / float64(n/10)))))
		key := []string{string(appendKey(nil, n+i))}
		asked := time.Now()
		decide(key)
		e.Longest = max(e.Longest, time.Since(asked))
	}
	e.After = heap() - empty
	runtime.KeepAlive(decide)
	return e, nil
}

// Pauses are how long single calls took while a limiter grew.
type Pauses struct {
	Median, P9999, Longest time.Duration
	Over                   int           // calls longer than a millisecond
	Machine                time.Duration // longest gap between two readings of the clock, with no call in between, in as long a time
}

// LongestCall grows a limiter to n keys and times each call.
func LongestCall(c Contestant, n int) (Pauses, error) {
	s, err := c.New(live)
	if err != nil {
		return Pauses{}, err
	}
	defer s.close()
	decide := s.NewDecider()
	names := uniform(n)
	took := make([]time.Duration, n)
	runtime.GC()

	base := time.Now()
	last := time.Duration(0)
	for i := range names {
		before := time.Since(base)
		decide(names[i : i+1])
		last = time.Since(base)
		took[i] = last - before
	}
	var p Pauses
	for began, before := time.Now(), time.Duration(0); before < last; {
		now := time.Since(began)
		p.Machine = max(p.Machine, now-before)
		before = now
	}
	slices.Sort(took)
	p.Median, p.P9999, p.Longest = took[n/2], took[n-1-n/10_000], took[n-1]
	at, _ := slices.BinarySearch(took, time.Millisecond)
	p.Over = n - at
	return p, nil
}
