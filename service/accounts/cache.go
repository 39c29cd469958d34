package accounts

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint/policy"
)

// entry is an answer of the database, found or not found. It does not change but for its flags.
type entry struct {
	identity   *identity // nil: nobody
	read       time.Time
	refreshing atomic.Bool // it is being asked for anew

	// used is when it was last used, in seconds since 1970; 0 if it was not, or that has been written. The answer that comes after this
	// one shares it, so that a call which is still at this one is not forgotten.
	used *atomic.Int64
}

func (e *entry) answer(now time.Time) (*policy.Caller, error) {
	if e.identity == nil || !e.identity.valid(now) {
		return nil, policy.ErrInvalidKey
	}
	if second := now.Unix(); e.used.Load() != second {
		e.used.Store(second)
	}
	return &e.identity.caller, nil
}

// flight is a look-up that is under way. All else is set before done is closed.
type flight struct {
	done  chan struct{}
	begun bool // the database was asked; else whoever was to ask did not
	entry *entry
	err   error
}

// cacheShards is how many parts the cache has, so that calls seldom meet. A hash is random, so its first byte spreads evenly.
const cacheShards = 64

type cache struct {
	perShard int
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]*entry
	flights map[[sha256.Size]byte]*flight
	_       [64]byte
}

func (c *cache) init(most int) {
	c.perShard = max(1, most/cacheShards)
	for i := range c.shards {
		c.shards[i].entries = map[[sha256.Size]byte]*entry{}
		c.shards[i].flights = map[[sha256.Size]byte]*flight{}
	}
}

func (c *cache) shard(hash *[sha256.Size]byte) *cacheShard { return &c.shards[hash[0]%cacheShards] }

func (c *cache) get(hash [sha256.Size]byte) *entry {
	s := c.shard(&hash)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[hash]
}

// flight is the look-up of a hash that is under way, or a new one that the caller has to land.
func (c *cache) flight(hash [sha256.Size]byte) (f *flight, first bool) {
	s := c.shard(&hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[hash]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	s.flights[hash] = f
	return f, true
}

// put keeps the answer of a flight, and ends it.
func (c *cache) put(hash [sha256.Size]byte, f *flight) {
	s := c.shard(&hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.entries[hash]
	if old != nil {
		f.entry.used = old.used
	} else {
		f.entry.used = new(atomic.Int64)
		if len(s.entries) >= c.perShard {
			s.evict()
		}
	}
	s.entries[hash] = f.entry
	delete(s.flights, hash)
	close(f.done)
}

// failed ends a flight without an answer. The old one may be asked for anew by the next call.
func (c *cache) failed(hash [sha256.Size]byte, f *flight) {
	s := c.shard(&hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.entries[hash]; old != nil {
		old.refreshing.Store(false)
	}
	delete(s.flights, hash)
	close(f.done)
}

// evictLooks is how many entries are looked at to find one to evict.
const evictLooks = 8

// evict makes room: of a few entries, in the map's random order, the one that was read first goes; one that found nobody before all
// others, so that guesses do not push callers out.
func (s *cacheShard) evict() {
	var worst [sha256.Size]byte
	var oldest *entry
	looked := 0
	for hash, e := range s.entries {
		nobody, better := e.identity == nil, oldest != nil && oldest.identity == nil
		if oldest == nil || nobody && !better || nobody == better && e.read.Before(oldest.read) {
			worst, oldest = hash, e
		}
		if looked++; looked == evictLooks {
			break
		}
	}
	delete(s.entries, worst)
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.entries)
		s.mu.RUnlock()
	}
	return n
}

// use is that a key was used.
type use struct {
	key    string
	second int64
	entry  *entry
}

// used are the keys that were used since it was last asked.
func (c *cache) used() []use {
	var all []use
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			if second := e.used.Load(); second > 0 && e.identity != nil {
				all = append(all, use{e.identity.caller.Key, second, e})
			}
		}
		s.mu.RUnlock()
	}
	return all
}
