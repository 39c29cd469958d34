package httplimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// PolicyOptions say what serves the calls that a policy admits. Limiter is required, and Upstream if the policy has upstreams.
type PolicyOptions struct {
	// Limiter decides. It needs no limits of its own, since the policy brings them: stint.NewWith(stint.Options{Store: …}).
	Limiter *stint.Limiter

	// Next serves what a route neither answers nor hands on, and the calls that no route fits: those are not limited. Default:
	// an admitted call is answered 204, and one that no route fits 404.
	Next http.Handler

	// Upstream makes the handler that hands calls on to an upstream. It is called once for each address in a policy.
	Upstream func(u *url.URL) (http.Handler, error)

	// Address says where a client's address comes from. Default: what the policy's clients say, which is the peer if they say
	// nothing.
	Address AddressSource

	// Attribute says what else is known of a request, for "user" and "plan" and "api-key". Default: nothing, and the header
	// X-API-KEY is the API key, which stands for its user.
	Attribute func(r *http.Request, name string) (string, bool)

	// Identify looks up who sends an API key in the header X-API-KEY, at most once for a request, and only where the route asks who
	// calls: see [policy.Route.Identifies]. address is the client's as a key, "" if there is none. [policy.ErrInvalidKey] is answered
	// 401, a [*policy.TriesError] 429, any other error 503. Default: nobody is looked up, and the API key stands for its user.
	Identify func(ctx context.Context, key, address string) (*policy.Caller, error)

	// OnError is told of every error of the store, and of Identify but those two. Default: nobody is.
	OnError func(r *http.Request, err error)

	// OnVerdict is told what came of every request that a route fits, before it is served or refused and on its goroutine, so it must
	// be quick. The verdict is only lent. Default: nobody is told.
	OnVerdict func(v *Verdict)

	// Answers say how clients are told. Headers and Bodies come from the policy and must be empty here.
	Answers
}

// Verdict is what came of a request.
type Verdict struct {
	Request *http.Request
	Route   *policy.Route

	// Caller is who made it, if that was looked up; nil otherwise.
	Caller *policy.Caller

	// Key is who was counted, Cost what was asked for; empty if the request was not counted.
	Key  string
	Cost int64

	// Decision is the strictest, and says whether the request passes. Decisions are those of each limit, candidates among them: see
	// [policy.CandidateOf]. There are none if no limit was asked.
	Decision  stint.Decision
	Decisions []stint.Decision

	// Err is why nothing could be decided; nil if something was.
	Err error
}

// PolicyHandler serves requests by a policy, which can be changed while it does. Make one with [Policy]. All methods are safe
// for concurrent use.
type PolicyHandler struct {
	options PolicyOptions
	served  atomic.Pointer[served]
}

// served is one version of the policy with all that its routes need.
type served struct {
	policy *policy.Policy
	known  known
	doors  []door // one for each route
	none   http.Handler
}

// Policy is a handler that serves requests by a policy. For each request the first route that fits holds:
//
//	401  the route requires an API key and there is none, or lacks a key that says who the client is
//	400  the call lacks another key that the route counts by
//	429  a limit has no room; or the status that the route's over-limit says
//	503  no decision could be had, the store being lost, unless all limits of the route are open then
//	404  no route fits, and there is no Next
//
// A call that is admitted gets the route's answer, its upstream, or Next. In shadow it passes whatever the limits say, marked by
// a header Stint-Shadow if they would have refused it; an API key that is required is required even then.
func Policy(p *policy.Policy, o PolicyOptions) (*PolicyHandler, error) {
	if o.Limiter == nil {
		return nil, errors.New("httplimit: no Limiter; make one with stint.NewWith")
	}
	if o.Headers != nil || o.Bodies != nil {
		return nil, errors.New("httplimit: Headers and Bodies come from the policy; set them there")
	}
	h := &PolicyHandler{options: o}
	if err := h.Swap(p); err != nil {
		return nil, err
	}
	return h, nil
}

// Policy is the policy in force.
func (h *PolicyHandler) Policy() *policy.Policy { return h.served.Load().policy }

// Swap puts another policy in force. Requests under way end as they began, counts carry over where the ids of limits stay. If
// it returns an error, the policy in force stays.
func (h *PolicyHandler) Swap(p *policy.Policy) error {
	s := &served{policy: p, known: known{h.options.Address, h.options.Attribute}, doors: make([]door, len(p.Routes)), none: h.options.Next}
	if !s.known.address.Chosen() {
		s.known.address = AddressOf(p.Clients)
	}
	if err := s.known.address.Err(); err != nil {
		return err
	}
	if s.none == nil {
		s.none = http.HandlerFunc(noRoute)
	}
	maker := doorMaker{h: h, policy: p, renderers: map[string]*Renderer{}, upstreams: map[string]http.Handler{}}
	for i, r := range p.Routes {
		d, err := maker.door(r)
		if err != nil {
			return fmt.Errorf("%s:%d:%d: route %s: %w", p.File, r.Line, r.Column, r.Name, err)
		}
		s.doors[i] = d
	}
	h.served.Store(s)
	return nil
}

// AddressOf is where a policy says that addresses come from: the peer if it says nothing.
func AddressOf(c policy.Clients) AddressSource {
	source := Peer()
	switch {
	case c.Hops > 0:
		source = Hops(c.Hops)
	case len(c.TrustedProxies) > 0:
		source = Trusted(c.TrustedProxies...)
	}
	if c.IPv6Prefix > 0 {
		source = source.WithIPv6Prefix(c.IPv6Prefix)
	}
	return source
}

// visit is one request on its way through a policy, in one piece of memory.
type visit struct {
	exchange
	claims    [2]stint.Claim
	decisions [2]stint.Decision
	shadowed  bool // a refusal by a limit in force would not be meant
	told      Verdict
}

// ServeHTTP serves the request by the policy in force.
func (h *PolicyHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := h.served.Load()
	v := &visit{exchange: exchange{Context: r.Context()}}
	v.call = Call{request: r, known: &s.known}
	route := s.policy.Match(&v.call)
	if route == nil {
		s.none.ServeHTTP(w, r)
		return
	}
	d := &s.doors[route.Number]
	v.report.renderer = d.renderer
	if h.options.Identify != nil && route.Identifies() && !h.identified(v, d, w, r) {
		return
	}
	claims, refusal := route.Claims(&v.call, v.claims[:0])
	switch {
	case refusal == policy.NoAPIKey:
		d.unauthorized(v, w, r, "The request lacks an API key: send it in the header X-API-KEY", nil)
	case refusal == policy.NoKey:
		f := d.options.missing()
		v.verdict(d, r, nil, f.Decision, nil)
		d.refuse(&v.exchange, w, r, f)
	case len(claims) == 0:
		v.verdict(d, r, nil, stint.Decision{Allowed: true, Reason: stint.Skipped}, nil)
		d.next.ServeHTTP(w, r)
	default:
		h.limited(v, d, w, r, claims)
	}
}

// identified finds out who sent the API key that the request carries, if it carries one. False if the request was answered.
func (h *PolicyHandler) identified(v *visit, d *door, w http.ResponseWriter, r *http.Request) bool {
	key, ok := v.call.Header(policy.APIKeyHeader)
	if !ok || key == "" {
		return true
	}
	address, _ := v.call.Address()
	caller, err := h.options.Identify(v.Context, key, address)
	var tries *policy.TriesError
	switch {
	case err == nil && caller.Scopes.Has(policy.ScopeRoutes):
		v.call.caller = caller
		return true
	case err == nil, errors.Is(err, policy.ErrInvalidKey):
		d.unauthorized(v, w, r, "The API key is not valid", policy.ErrInvalidKey)
	case errors.As(err, &tries):
		f := NewRefusal(stint.Decision{Reason: stint.Blocked, RetryAfter: tries.RetryAfter}, nil)
		f.Detail = fmt.Sprintf("Too many API keys that are not valid. Try again in %d seconds", f.RetryAfter)
		v.decision[0] = f.Decision
		v.verdict(d, r, nil, f.Decision, err)
		v.refuse(w, r, f)
	default:
		v.verdict(d, r, nil, stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}, err)
		if h.options.OnError != nil {
			h.options.OnError(r, err)
		}
		f := NewRefusal(stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}, nil)
		f.Detail = "The API key cannot be checked right now"
		v.decision[0] = f.Decision
		v.refuse(w, r, f)
	}
	return false
}

// verdict tells what came of the request.
func (v *visit) verdict(d *door, r *http.Request, claims []stint.Claim, strictest stint.Decision, err error) {
	if d.told == nil {
		return
	}
	v.told = Verdict{Request: r, Route: d.route, Caller: v.call.caller, Decision: strictest, Err: err}
	if len(claims) > 0 {
		v.told.Key, v.told.Cost = claims[0].Key, claims[0].Op.Min
		v.told.Decisions = v.report.Decisions
	}
	d.told(&v.told)
}

// limited decides a call that makes claims, and serves it if they are granted.
func (h *PolicyHandler) limited(v *visit, d *door, w http.ResponseWriter, r *http.Request, claims []stint.Claim) {
	v.report.Key = claims[0].Key
	v.shadowed = slices.ContainsFunc(claims, func(c stint.Claim) bool { return c.Shadow && !candidate(c.Limit) })
	charge, err := h.decide(v, d, claims)
	if err != nil {
		if v.shadowed && !d.options.Shadow { // the key is not among those that are enforced
			shadow := *d
			shadow.options.Shadow, d = true, &shadow
		}
		v.verdict(d, r, claims, stint.Decision{Allowed: d.options.FailOpen, Reason: stint.Degraded}, err)
		d.undecided(&v.exchange, w, r, err)
		return
	}
	if v.shadowed {
		v.shadow(w.Header())
	}
	v.verdict(d, r, claims, v.decision[0], nil)
	v.report.Decisions = telling(v.report.Decisions)
	switch {
	case !v.decision[0].Allowed:
		f := d.renderer.Refusal(v.decision[0], v.report.Decisions)
		if f.Status == http.StatusTooManyRequests {
			f.Status = d.route.OverLimit.Status
		}
		v.refuse(w, r, f)
	case d.static != nil && charge == nil:
		d.renderer.write(w.Header(), &v.report)
		d.static.ServeHTTP(w, r)
	default:
		v.pass(d.next, w, r, charge)
	}
}

// candidate says whether a limit is only tried out.
func candidate(l *stint.Limit) bool {
	_, ok := policy.CandidateOf(l.ID)
	return ok
}

// decide takes what the claims ask for, and notes the decisions. The charge is to be settled after the response; nil if it is
// final.
func (h *PolicyHandler) decide(v *visit, d *door, claims []stint.Claim) (*charge, error) {
	if d.options.Charge != nil {
		reservation, err := h.options.Limiter.ReserveAll(v.Context, claims)
		if err != nil {
			return nil, err
		}
		v.decision[0], v.report.Decisions = reservation.Decision, reservation.Decisions
		return &charge{reservation: reservation, reserved: claims[0].Op.Max, cost: d.options.Charge, slots: d.slots,
			failed: d.options.OnError}, nil
	}
	decisions := v.decisions[:]
	if len(claims) > len(decisions) {
		decisions = make([]stint.Decision, len(claims))
	}
	decisions = decisions[:len(claims)]
	strictest, err := h.options.Limiter.TakeAll(v.Context, claims, decisions)
	if err == nil {
		v.decision[0], v.report.Decisions = strictest, decisions
	}
	return nil, err
}

// shadow marks a call that would have been refused if its route were enforced, by a limit or by a lost store.
func (v *visit) shadow(h http.Header) {
	first := true
	refused, lost := false, false
	for i := range v.report.Decisions {
		d := &v.report.Decisions[i]
		if d.By != nil && candidate(d.By) {
			continue
		}
		if first || d.Stricter(&v.decision[0]) {
			v.decision[0] = *d
		}
		first, refused, lost = false, refused || d.Reason == stint.Shadowed, lost || unasked(d)
	}
	switch {
	case refused:
		v.decision[0].Reason = stint.Shadowed
		h["Stint-Shadow"] = []string{stint.Limited.String()}
	case lost:
		h["Stint-Shadow"] = []string{stint.Degraded.String()}
	}
}

// apiKey is the key that a 401 asks for.
var apiKey = policy.Header(policy.APIKeyHeader)

// unauthorized answers a request without an API key, or with one that is not valid.
func (d *door) unauthorized(v *visit, w http.ResponseWriter, r *http.Request, detail string, err error) {
	w.Header()["Www-Authenticate"] = []string{challenge(apiKey)}
	f := wrongRequest(http.StatusUnauthorized, stint.KeyMissing, detail)
	v.decision[0] = f.Decision
	v.verdict(d, r, nil, f.Decision, err)
	v.refuse(w, r, f)
}
