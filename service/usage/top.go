package usage

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"sync"
)

// The kinds of whom Top tells.
const (
	byUser = iota
	byKey
	byRoute
	topKinds
)

// topKept is how many a sketch keeps, and topHalve how often, in seconds, its counts are halved, so that it tells of now.
const (
	topKept  = 1024
	topHalve = 60
)

// sketch is a Space-Saving sketch (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams,
// 2005): it keeps topKept names, and one that is new takes the place and the count of the least. A count is too high by its error at
// most, and never too low; whoever has more than a topKept-th of all is kept.
type sketch struct {
	mu     sync.Mutex
	byName map[string]*heavy
	heap   heavies
	halved int64
}

type heavy struct {
	name         string
	count, error int64
	place        int
}

func (s *sketch) init() { s.byName = make(map[string]*heavy, topKept) }

func (s *sketch) add(name string, now int64) {
	if name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(now)
	if h := s.byName[name]; h != nil {
		h.count++
		heap.Fix(&s.heap, h.place)
		return
	}
	if len(s.heap) < topKept {
		h := &heavy{name: name, count: 1}
		s.byName[name] = h
		heap.Push(&s.heap, h)
		return
	}
	least := s.heap[0]
	delete(s.byName, least.name)
	least.name, least.error = name, least.count
	least.count++
	s.byName[name] = least
	heap.Fix(&s.heap, 0)
}

// age halves the counts for every minute that has passed, and forgets those that come to nothing.
func (s *sketch) age(now int64) {
	if s.halved == 0 {
		s.halved = now
	}
	times := (now - s.halved) / topHalve
	if times <= 0 {
		return
	}
	s.halved += times * topHalve
	kept := s.heap[:0]
	for _, h := range s.heap {
		h.count >>= min(times, 62)
		h.error >>= min(times, 62)
		if h.count == 0 {
			delete(s.byName, h.name)
			continue
		}
		kept = append(kept, h)
	}
	clear(s.heap[len(kept):])
	s.heap = kept
	for i, h := range s.heap {
		h.place = i
	}
	heap.Init(&s.heap)
}

// heavies is a heap with the least count first.
type heavies []*heavy

func (h heavies) Len() int           { return len(h) }
func (h heavies) Less(i, k int) bool { return h[i].count < h[k].count }
func (h heavies) Swap(i, k int)      { h[i], h[k] = h[k], h[i]; h[i].place, h[k].place = i, k }
func (h *heavies) Push(x any)        { one := x.(*heavy); one.place = len(*h); *h = append(*h, one) }
func (h *heavies) Pop() any          { last := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return last }

func (r *Recorder) refused(of Of, now int64) {
	r.top[byUser].add(of.User, now)
	r.top[byKey].add(of.Key, now)
	r.top[byRoute].add(of.Route, now)
}

// Refused is somebody who is refused: about Count times of late, a minute ago counting half of now, and for sure Count-Error times.
type Refused struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Error int64  `json:"error"`
}

// Top are the n that are refused most now at this instance: by "user", "key" or "route".
func (r *Recorder) Top(by string, n int) ([]Refused, error) {
	kind := slices.Index([]string{"user", "key", "route"}, by)
	if kind < 0 {
		return nil, fmt.Errorf("usage: top by %q: allowed are user, key and route", by)
	}
	s := &r.top[kind]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age(r.options.Now().Unix())
	list := make([]Refused, len(s.heap))
	for i, h := range s.heap {
		list[i] = Refused{h.name, h.count, h.error}
	}
	slices.SortFunc(list, func(a, b Refused) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Error, b.Error), cmp.Compare(a.Name, b.Name))
	})
	return list[:max(0, min(n, len(list)))], nil
}
