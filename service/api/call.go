package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// call is a call ready to be decided.
type call struct {
	claims []stint.Claim
	route  *policy.Route // that holds, for a request; nil otherwise

	// What is answered without a decision: the request is not counted, or cannot be.
	reason  stint.Reason
	allowed bool
	retry   time.Duration // of a refusal

	counted Counted
	one     [1]stint.Claim // the memory of claims, where there is one, as mostly
}

// place is where in a body something stands, for messages.
type place struct {
	call, claim int // the number of the call of many, and of the claim of many, from 1; 0 if there are not many
}

// of is a field at the place; "" is the place itself.
func (p place) of(field string) string {
	at := ""
	if p.call > 0 {
		at = fmt.Sprintf("calls[%d].", p.call-1)
	}
	if p.claim > 0 {
		at += fmt.Sprintf("claims[%d].", p.claim-1)
	}
	return strings.TrimSuffix(at+field, ".")
}

// call makes a call of what was sent.
func (a *api) call(r *asked, c *wireCall, at place, made *call) error {
	single := c.Limit != nil || len(c.Key) > 0
	if n := count(single, len(c.Claims) > 0, c.Request != nil); n != 1 {
		return wrong(at.of(""), "say one of limit with key, claims, or request")
	}
	if c.Request != nil {
		var err error
		*made, err = a.requestCall(r, c, at)
		return err
	}
	made.counted = Counted{User: r.caller.User, Key: r.caller.Key}
	first := c.Limit
	if single {
		made.claims = made.one[:0]
		if err := a.add(r, &c.wireClaim, at, made); err != nil {
			return err
		}
	} else {
		if len(c.Claims) > MaxClaims {
			return wrong(at.of("claims"), fmt.Sprintf("%d claims; at most %d are allowed", len(c.Claims), MaxClaims))
		}
		made.claims = make([]stint.Claim, 0, len(c.Claims))
		for i := range c.Claims {
			at.claim = i + 1
			if err := a.add(r, &c.Claims[i], at, made); err != nil {
				return err
			}
		}
		first = c.Claims[0].Limit
	}
	if made.counted.Route = r.routeOf(first.ID); len(made.claims) == 0 {
		made.reason, made.allowed = stint.Skipped, true
	}
	return nil
}

// add adds a claim to a call, unless its limit is unlimited.
func (a *api) add(r *asked, c *wireClaim, at place, to *call) error {
	claim, err := a.claim(r, c, at)
	if err == nil && claim.Limit != nil {
		to.claims = append(to.claims, claim)
	}
	return err
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// wrong is the refusal of what cannot be meant.
func wrong(at, what string) error {
	if at != "" {
		what = at + ": " + what
	}
	return refuse(http.StatusUnprocessableEntity, what)
}

func (a *api) claim(r *asked, c *wireClaim, at place) (claim stint.Claim, err error) {
	cost := int64(1)
	if c.Cost != nil {
		cost = *c.Cost
	}
	switch {
	case c.Limit == nil || c.Limit.ID == "":
		return claim, wrong(at.of("limit"), "which limit? its id in the policy")
	case cost < 0 || cost > MaxCost:
		return claim, wrong(at.of("cost"), "a whole number from 0 to 2^53")
	}
	key, err := keyOf(c.Key, at)
	if err != nil {
		return claim, err
	}
	limit, err := a.limit(r, c, at)
	if err != nil || limit == nil {
		return stint.Claim{}, err
	}
	return stint.NewClaim(limit, key, cost), nil
}

func keyOf(parts keyParts, at place) (string, error) {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if len(parts) == 0 || slices.Contains(parts, "") || size > MaxKey || len(parts) > 8 {
		return "", wrong(at.of("key"), fmt.Sprintf("a text, or a list of at most 8; none of them empty, %d bytes in all", MaxKey))
	}
	return stint.Key(parts...), nil
}

// limit is the value of the limit that a claim names; nil if it is unlimited.
func (a *api) limit(r *asked, c *wireClaim, at place) (*stint.Limit, error) {
	if c.Limit.Rate != "" {
		return a.ownLimit(r, c.Limit, at)
	}
	l := r.policy.Limit(c.Limit.ID)
	if l == nil {
		ids := make([]string, len(r.policy.Limits))
		for i, known := range r.policy.Limits {
			ids[i] = known.ID
		}
		what := fmt.Sprintf("the policy has no limit %q", c.Limit.ID)
		if meant := policy.Nearest(c.Limit.ID, ids); meant != "" {
			what += fmt.Sprintf(" (did you mean %q?)", meant)
		}
		return nil, wrong(at.of("limit"), what)
	}
	return l.For(c.Plan), nil
}

// ownMark stands before the ids of limits that callers send, so that none is taken for the policy's.
const ownMark = "own~"

// ownLimit is a limit that the caller sends, if its user may.
func (a *api) ownLimit(r *asked, l *limitName, at place) (*stint.Limit, error) {
	if !slices.Contains(r.policy.OwnLimits, r.caller.User) {
		return nil, refuse(http.StatusForbidden, "limits are the server's: the policy does not let this user send its own (api: own-limits)")
	}
	value, err := stint.ParseLimit(l.Rate)
	if err != nil {
		return nil, wrong(at.of("limit.rate"), err.Error())
	}
	if len(l.ID) > 64 {
		return nil, wrong(at.of("limit.id"), "at most 64 bytes")
	}
	if value.Strategy != nil && value.Strategy.Name() == "unlimited" {
		return nil, nil
	}
	value.ID = ownMark + stint.Key(r.caller.User, l.ID)
	compiled, err := value.Compile()
	if err != nil {
		return nil, wrong(at.of("limit.rate"), err.Error())
	}
	return compiled, nil
}

// requestCall is the call of a request that the policy decides.
func (a *api) requestCall(r *asked, c *wireCall, at place) (call, error) {
	made := call{counted: Counted{User: c.Request.User}}
	view, err := a.view(r, c.Request, at)
	unidentified := noneOfUs(err)
	if err != nil && !unidentified {
		return call{}, err
	}
	if caller := view.Caller(); caller != nil {
		made.counted.User, made.counted.Key = caller.User, caller.Key
	}
	if made.route = r.policy.Match(view); made.route == nil {
		made.reason, made.allowed = stint.Skipped, true
		return made, nil
	}
	made.counted.Route = made.route.Name
	made.retry = stint.Never
	if unidentified && made.route.Identifies() {
		made.reason = stint.KeyMissing
		if tries, ok := errors.AsType[*policy.TriesError](err); ok {
			made.reason, made.retry = stint.Blocked, tries.RetryAfter
		}
		return made, nil
	}
	var refused policy.Refusal
	made.claims, refused = made.route.Claims(view, nil)
	switch {
	case refused != policy.NotRefused:
		made.reason = stint.KeyMissing
	case len(made.claims) == 0:
		made.reason, made.allowed = stint.Skipped, true
	case c.Cost != nil:
		if *c.Cost < 0 || *c.Cost > MaxCost {
			return call{}, wrong(at.of("cost"), "a whole number from 0 to 2^53")
		}
		for i := range made.claims {
			old := made.claims[i]
			made.claims[i] = stint.NewClaim(old.Limit, old.Key, *c.Cost)
			made.claims[i].Shadow = old.Shadow
		}
	}
	return made, nil
}

// noneOfUs says whether the error of a view is about the API key in the request: that is the request's matter, not that of who asks.
func noneOfUs(err error) bool {
	return errors.Is(err, policy.ErrInvalidKey) || errors.As(err, new(*policy.TriesError))
}

// view is a request as the policy sees it.
func (a *api) view(r *asked, w *wireRequest, at place) (*httplimit.Call, error) {
	if w.Path == "" || w.Path[0] != '/' {
		return nil, wrong(at.of("request.path"), "a path that begins with /")
	}
	method := w.Method
	if method == "" {
		method = http.MethodGet
	}
	made := (&http.Request{Method: method, Host: w.Host, URL: &url.URL{Path: w.Path}, Header: http.Header{}, RemoteAddr: w.Address}).WithContext(r.Context())
	for name, value := range w.Headers {
		made.Header.Set(name, value)
	}
	query := url.Values{}
	for name, value := range w.Query {
		query.Set(name, value)
	}
	made.URL.RawQuery = query.Encode()
	for name, value := range w.Cookies {
		made.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	source := httplimit.AddressOf(r.policy.Clients)
	view := httplimit.NewCall(made, source, nil)
	key := w.APIKey
	if key == "" {
		key = made.Header.Get(policy.APIKeyHeader)
	}
	switch {
	case key != "" && a.Identify != nil:
		address, _ := source.Key(made)
		caller, err := a.Identify(r.Context(), key, address)
		if err == nil && !caller.Scopes.Has(policy.ScopeRoutes) {
			caller, err = nil, policy.ErrInvalidKey
		}
		return view.By(caller), err
	case w.User != "" || w.Plan != "":
		view.By(&policy.Caller{User: w.User, Plan: w.Plan})
	}
	return view, nil
}
