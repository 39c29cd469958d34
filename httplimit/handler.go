package httplimit

import (
	"net/http"

	"github.com/stint-go/stint"
)

// Handler holds the requests to next to a limit, and answers those that it refuses itself. The result is safe for concurrent
// use.
//
// Put it behind the router where the key needs what the router finds out: policy.PathValue and the attribute "route" are
// known only inside mux.Handle("GET /users/{id}", limited), not around the mux.
func Handler(next http.Handler, o Options) (http.Handler, error) {
	middleware, err := Middleware(o)
	if err != nil {
		return nil, err
	}
	return middleware(next), nil
}

// Middleware is Handler in the form that chi and its like take. All handlers that it wraps share the limiter's counts.
func Middleware(o Options) (func(next http.Handler) http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	renderer, err := NewRenderer(o.Answers)
	if err != nil {
		return nil, err
	}
	shared := ""
	if o.SharedKey != "" {
		shared = stint.Key("", o.SharedKey) // no part of a real key is empty
	}
	return func(next http.Handler) http.Handler {
		return &handler{next: next, options: o, renderer: renderer, shared: shared, known: known{o.Address, o.Attribute}}
	}, nil
}

type handler struct {
	next     http.Handler
	options  Options
	renderer *Renderer
	shared   string // the key of requests without one; empty: they are refused
	known    known
}

// ServeHTTP decides, and passes the request on or refuses it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o := &h.options
	if o.Skip != nil && o.Skip(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	x := &exchange{Context: r.Context()}
	x.report.renderer = h.renderer
	x.call = Call{request: r, known: &h.known}
	key, ok := o.Key.Of(&x.call)
	if !ok {
		if h.shared == "" {
			h.refuse(x, w, r, o.missing())
			return
		}
		key = h.shared
	}
	cost := int64(1)
	if o.Cost != nil {
		if cost = o.Cost(r); cost < 0 {
			h.refuse(x, w, r, wrongRequest(http.StatusBadRequest, stint.TooMuch, "The request's cost is negative"))
			return
		}
	}
	c, err := h.decide(x, key, cost)
	switch {
	case err != nil:
		h.undecided(x, w, r, err)
	case x.decision[0].Allowed:
		x.pass(h.next, w, r, c)
	default:
		h.refuse(x, w, r, h.renderer.Refusal(x.decision[0], x.report.Decisions))
	}
}

// decide takes the cost, and notes the decision in the exchange. The charge is to be settled after the response; nil if the
// cost is final.
func (h *handler) decide(x *exchange, key string, cost int64) (*charge, error) {
	o := &h.options
	x.report.Key = key
	limits := o.Limiter.Limits()
	slots := holdsSlots(limits)
	if o.Charge != nil || slots {
		// To take nothing now and charge later would let any number pass together.
		reservation, err := o.Limiter.Reserve(x.Context, key, max(cost, 1))
		if err != nil {
			return nil, err
		}
		x.decidedByAll(reservation.Decision, reservation.Decisions)
		return &charge{reservation: reservation, reserved: cost, cost: o.Charge, slots: slots, failed: o.OnError}, nil
	}
	if len(limits) == 1 {
		d, err := o.Limiter.Take(x.Context, key, cost)
		if err == nil {
			x.decidedBy(d)
		}
		return nil, err
	}
	s := new(several)
	claims, decisions := s.claims[:0], s.decisions[:]
	for _, limit := range limits {
		claims = append(claims, stint.NewClaim(limit, key, cost))
	}
	if len(limits) > len(decisions) {
		decisions = make([]stint.Decision, len(limits))
	}
	decisions = decisions[:len(limits)]
	d, err := o.Limiter.TakeAll(x.Context, claims, decisions)
	if err == nil {
		x.decidedByAll(d, decisions)
	}
	return nil, err
}

// several is the memory of a call on a few limits, in one piece.
type several struct {
	claims    [2]stint.Claim
	decisions [2]stint.Decision
}

// undecided is for a request on which no decision could be had: an error is not a denial.
func (h *handler) undecided(x *exchange, w http.ResponseWriter, r *http.Request, err error) {
	if h.options.OnError != nil {
		h.options.OnError(r, err)
	}
	// A client that hangs up before the decision must not get its request served uncounted.
	if h.options.FailOpen && r.Context().Err() == nil {
		x.decision[0] = stint.Decision{Allowed: true, Reason: stint.Degraded}
		x.pass(h.next, w, r, nil)
		return
	}
	h.refuse(x, w, r, lostStore())
}

// refuse answers the request, or in shadow marks it and lets it pass.
func (h *handler) refuse(x *exchange, w http.ResponseWriter, r *http.Request, f *Refusal) {
	x.decision[0] = f.Decision
	if h.options.Shadow {
		w.Header()["Stint-Shadow"] = []string{f.Decision.Reason.String()}
		x.decision[0].Allowed, x.decision[0].Reason, x.decision[0].RetryAfter = true, stint.Shadowed, 0
		x.pass(h.next, w, r, nil)
		return
	}
	if f.Status == http.StatusUnauthorized {
		if value := challenge(h.options.Key); value != "" {
			w.Header()["Www-Authenticate"] = []string{value}
		}
	}
	x.refuse(w, r, f)
}
