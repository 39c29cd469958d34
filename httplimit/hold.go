package httplimit

import (
	"net/http"
	"sync"
	"time"
)

// hold is what a server has said about the requests of one key: not before an instant, or no more than so many until one.
type hold struct {
	mu       sync.Mutex
	until    time.Time     // nothing is sent before it
	left     int64         // how many requests may be sent before window
	window   time.Time     // zero: as many as you like
	inFlight int64         // requests sent whose response has not come
	changed  chan struct{} // closed when a response has come; nil if nobody waits for one
}

// wait is how long to wait before a request is sent: 0 if it may be now, and then it counts as sent if take says so. The
// channel is closed when a new word of the server may have shortened the wait.
func (h *hold) wait(now time.Time, take bool) (time.Duration, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wait := h.until.Sub(now)
	if bound := now.Before(h.window); wait <= 0 && bound && h.left <= 0 {
		wait = h.window.Sub(now)
	} else if wait <= 0 {
		if take {
			h.inFlight++
			if bound {
				h.left--
			}
		}
		return 0, nil
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return wait, h.changed
}

// answered notes that a request was answered, and what the server said with it, for the longest time at most; the response is
// nil if none came. It returns how long the server asks to wait, 0 if it does not.
func (h *hold) answered(response *http.Response, now time.Time, longest time.Duration) time.Duration {
	var said signal
	if response != nil {
		said = readSignal(response, now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight--
	if until := now.Add(min(said.wait, longest)); said.wait > 0 && until.After(h.until) {
		h.until = until
	}
	if said.counted {
		// Whether the server has seen those under way is not known, so they count as not seen.
		h.left, h.window = max(0, said.left-h.inFlight), now.Add(min(said.window, longest))
	}
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
	return said.wait
}

// end is when the hold ends by itself.
func (h *hold) end() (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.window.After(h.until) {
		return h.window, h.inFlight > 0
	}
	return h.until, h.inFlight > 0
}

// holds are the holds of all keys, a bounded number of them.
type holds struct {
	most int
	mu   sync.Mutex
	keys map[string]*hold
}

// of is the hold of a key, made if there is none.
func (s *holds) of(key string, now time.Time) *hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.keys[key]; h != nil {
		return h
	}
	if s.keys == nil {
		s.keys = make(map[string]*hold)
	}
	if len(s.keys) >= s.most {
		s.makeRoom(now)
	}
	h := new(hold)
	s.keys[key] = h
	return h
}

// makeRoom drops the holds that have ended, or else the one that ends first.
func (s *holds) makeRoom(now time.Time) {
	soonest, when := "", time.Time{}
	for key, h := range s.keys {
		end, busy := h.end()
		if !end.After(now) && !busy {
			delete(s.keys, key)
		} else if soonest == "" || end.Before(when) {
			soonest, when = key, end
		}
	}
	if len(s.keys) >= s.most {
		delete(s.keys, soonest)
	}
}
