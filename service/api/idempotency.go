package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// remembered is how long an idempotency key stands for its call.
const remembered = 10 * time.Minute

const maxIdempotencyKey = 255

// fingerprint is what tells one body from another.
func fingerprint(body *wireTake) string {
	text, _ := json.Marshal(body) // it was read from JSON
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// decideOnce decides a call that may come again under the same idempotency key.
//
// In the same all-or-nothing step as its claims the call takes the one unit that there is in ten minutes of a marker, and another of a
// marker that names its body, too. So the store itself sees to it that a call that was admitted is not charged again, on whatever
// instance it comes: then the first marker refuses, and the second one says whether it was the same body. A call that is refused takes no
// marker either, and may be tried again. A store in memory that is full may take a new marker for one that was taken: then nobody knows,
// and the call is neither admitted nor refused. The markers' keys begin as that of the first claim does, so that they lie in one slot with it.
func (a *api) decideOnce(r *asked, number int, to *result, how ways) {
	c := to.call
	id := []string{record.Subject(c.claims[0].Key), "idempotency", r.caller.User, how.idempotency, strconv.Itoa(number)}
	first := stint.Key(id...)
	done, err := a.replays.lock(r.Context(), first)
	if err != nil {
		to.err = err
		return
	}
	defer done()
	if known, ok := a.replays.get(first, a.Now()); ok {
		if known.body != how.body {
			to.err = otherBody()
			return
		}
		*to = known.result
		to.call, to.replayed = c, true
		return
	}
	n := len(c.claims)
	claims := append(append(make([]stint.Claim, 0, n+2), c.claims...), stint.NewClaim(a.marker, first, 1), stint.NewClaim(a.marker, stint.Key(append(id, how.body)...), 1))
	decisions := make([]stint.Decision, len(claims))
	strictest, err := a.Limiter.TakeAll(r.Context(), claims, decisions)
	if err != nil {
		to.err = err
		return
	}
	marker, sameBody := &decisions[n], &decisions[n+1]
	switch {
	case !marker.Allowed && marker.Reason == stint.Degraded:
		// The store is lost, and markers with it: the limits' own choices hold, as for any other call.
		how.body = ""
		a.decideOne(r, number, to, how)
	case !marker.Allowed && marker.Approximate, marker.Allowed && !sameBody.Allowed:
		to.err = refuse(http.StatusServiceUnavailable, "the store is full, and whether the call was admitted before is not known any more: it was not admitted now; "+
			"try again later, or without the Idempotency-Key")
	case marker.Allowed:
		to.decision = strictestOf(decisions[:n], strictest)
		if strictest.Allowed && how.receipt {
			if to.receipt, to.err = a.receipt(r, kindReceipt, c.claims, decisions[:n]); to.err != nil {
				return
			}
		}
		if to.decisions = told(decisions[:n]); strictest.Allowed {
			a.replays.put(first, replay{how.body, *to, a.Now().Add(remembered)}, a.Now())
		}
	case sameBody.Allowed || sameBody.Approximate:
		to.err = otherBody()
	default:
		// It was admitted at another instance, or too long ago for this one's memory: this is how it stands now.
		if _, to.err = a.Limiter.PeekAll(r.Context(), c.claims, decisions[:n]); to.err != nil {
			return
		}
		for i := range decisions[:n] {
			decisions[i].Allowed, decisions[i].Reason, decisions[i].RetryAfter = true, stint.Admitted, 0
		}
		to.decision, to.decisions, to.replayed = strictestOf(decisions[:n], decisions[0]), told(decisions[:n]), true
	}
}

func otherBody() error {
	return refuse(http.StatusUnprocessableEntity, "the Idempotency-Key was used with another body within ten minutes")
}

// strictestOf is the strictest of decisions; that of the whole call where it is none of the markers'.
func strictestOf(decisions []stint.Decision, whole stint.Decision) stint.Decision {
	strictest := decisions[0]
	for _, d := range decisions[1:] {
		if d.Stricter(&strictest) {
			strictest = d
		}
	}
	strictest.Allowed = whole.Allowed
	return strictest
}

// replay is what a call was answered.
type replay struct {
	body   string
	result result
	until  time.Time
}

// maxReplays bounds the answers kept; the oldest go first. The store knows of the calls even then.
const maxReplays = 10_000

// replays are the answers of calls that may come again.
type replays struct {
	mu    sync.Mutex
	known map[string]replay
	order []string          // the oldest first
	locks [64]chan struct{} // of one place, which whoever decides has taken
}

func (s *replays) init() {
	s.known = map[string]replay{}
	for i := range s.locks {
		s.locks[i] = make(chan struct{}, 1)
	}
}

// lock lets one call of a key be decided at a time here, so that the second finds the answer of the first. It waits no longer than the
// caller does.
func (s *replays) lock(ctx context.Context, key string) (unlock func(), err error) {
	sum := uint32(2166136261)
	for i := range len(key) {
		sum = (sum ^ uint32(key[i])) * 16777619
	}
	l := s.locks[sum%uint32(len(s.locks))]
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *replays) get(key string, now time.Time) (replay, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.known[key]
	return r, ok && now.Before(r.until)
}

func (s *replays) put(key string, r replay, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.order) > 0 && (len(s.order) >= maxReplays || !now.Before(s.known[s.order[0]].until)) {
		delete(s.known, s.order[0])
		s.order = s.order[1:]
	}
	if _, there := s.known[key]; !there {
		s.order = append(s.order, key)
	}
	s.known[key] = r
}
