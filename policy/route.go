package policy

import (
	"net/url"
	"strconv"

	"github.com/stint-go/stint"
)

// Route says what holds for the calls that fit its Match: who is counted, by which limits, at which cost, and what is answered.
type Route struct {
	// Name is what keys, logs and explanations call the route. Default: its Match as a text.
	Name string

	// Match says which calls the route holds for, if no earlier one does.
	Match Match

	// RequireAPIKey refuses calls without an API key, whatever the mode.
	RequireAPIKey bool

	// Key says who is counted.
	Key Key

	// Missing is the key of calls that lack theirs; empty refuses them.
	Missing string

	// Limits all hold, together: a call takes from each of them or from none.
	Limits []*Limit

	// Cost is what a call asks for.
	Cost Cost

	// Mode says whether refusals are meant, and EnforcePercent for how many of the keys: the others are in shadow. A key is always on
	// the same side. 100 unless the file says enforce.
	Mode           Mode
	EnforcePercent int

	// Skip are the calls of the route that are not counted.
	Skip []Match

	// ChargeOn says which calls are charged once their response is known; nil charges all, before they are served.
	ChargeOn *ChargeOn

	// OverLimit is what a refused call is answered.
	OverLimit OverLimit

	// Respond is what an admitted call is answered, Upstream where it is handed to. At most one of them is set; if none is, the
	// program that uses the policy serves the call.
	Respond  *Response
	Upstream *url.URL

	// Number is its place in the policy's Routes.
	Number int

	// Line and Column say where in the file it stands.
	Line, Column int

	missing    string // the qualified key
	planned    bool   // the limits differ between plans
	identifies bool   // see Identifies
}

// Mode says whether refusals are meant.
type Mode uint8

// The modes.
const (
	Enforce Mode = iota // refuse
	Shadow              // decide, charge and mark, but let pass
	Off                 // count nothing
)

var modes = []string{"enforce", "shadow", "off"}

func (m Mode) String() string { return modes[min(int(m), len(modes)-1)] }

// Cost is what a call asks for, in units.
type Cost struct {
	// Default is the cost of a call that does not say it.
	Default int64

	// Header is where a call says its cost, in plain digits; empty if it cannot. A call that says anything but a whole number
	// from 1 up costs Default.
	Header string

	// Max is the most that a header can make a call cost; more is taken for Max. 0: no bound, so that a cost above a limit's
	// capacity is refused for good.
	Max int64
}

// Of is the cost of the call.
func (c Cost) Of(call Call) int64 {
	if c.Header == "" {
		return c.Default
	}
	text, _ := call.Header(c.Header)
	n, ok := parseCost(text)
	switch {
	case !ok:
		return c.Default
	case c.Max > 0:
		return min(n, c.Max)
	}
	return n
}

// parseCost reads digits; what is more than 2^63 is taken for the largest number.
func parseCost(text string) (int64, bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
	}
	n, _ := strconv.ParseInt(text, 10, 64) // the largest number if it is more
	return n, n > 0
}

// ChargeOn says which calls are charged, by their response. Units are taken before a call is served, and given back if it
// turns out not to be charged.
type ChargeOn struct {
	// Statuses are the responses that are charged. None: all.
	Statuses []StatusRange

	// Header is where a response says what the call has cost in the end, as a whole number of units; empty if it cannot. A
	// response without it costs what was taken.
	Header string
}

// StatusRange is the statuses from First to Last, both included.
type StatusRange struct{ First, Last int }

// Charges says whether a response of that status is charged.
func (c *ChargeOn) Charges(status int) bool {
	for _, r := range c.Statuses {
		if r.First <= status && status <= r.Last {
			return true
		}
	}
	return len(c.Statuses) == 0
}

// Response is an answer that stands in the file.
type Response struct {
	Status  int
	Body    string
	Headers []Condition // with Content-Type, if there is a body
}

// OverLimit is what a refused call is answered.
type OverLimit struct {
	// Format is "text", "json" or "problem" (RFC 9457), or "accept" for whichever the call accepts.
	Format string

	// Status of the answer. Default: 429.
	Status int
}

// Refusal says why a call is refused without being counted.
type Refusal uint8

// The refusals.
const (
	NotRefused Refusal = iota
	NoAPIKey           // the route requires an API key
	NoKey              // the call lacks the key that its route counts by
)

var refusals = [...]string{"", "no API key", "no key"}

func (r Refusal) String() string { return refusals[min(int(r), len(refusals)-1)] }

// Claims appends to into what the call takes: a claim for each limit that holds, none if the call is not counted. Give it a
// slice with room, and nothing is allocated but keys.
func (r *Route) Claims(c Call, into []stint.Claim) ([]stint.Claim, Refusal) {
	if r.RequireAPIKey {
		if _, ok := apiKey.Of(c); !ok {
			return into, NoAPIKey
		}
	}
	if !r.counts(c) {
		return into, NotRefused
	}
	key, ok := r.Key.Qualified(c)
	if !ok {
		if r.Mode == Shadow && r.missing == "" {
			return into, NotRefused
		}
		if r.missing == "" {
			return into, NoKey
		}
		key = r.missing
	}
	cost, shadow := r.Cost.Of(c), !r.enforces(key)
	plan, values := r.planOf(c)
	for _, l := range r.Limits {
		if value := l.valueFor(plan, values); value != nil {
			claim := stint.NewClaim(value, key, cost)
			claim.Shadow = shadow
			into = append(into, claim)
		}
		if l.Candidate != nil {
			claim := stint.NewClaim(l.Candidate, key, cost)
			claim.Shadow = true
			into = append(into, claim)
		}
	}
	return into, NotRefused
}

// enforces says whether refusals of the key are meant.
func (r *Route) enforces(key string) bool {
	switch {
	case r.Mode == Shadow:
		return false
	case r.EnforcePercent >= 100:
		return true
	}
	// FNV-1a: the same in every process, now and later, so that a key that is in stays in, at every instance.
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= h >> 32
	return int(h*0x9e3779b97f4a7c15>>32%100) < r.EnforcePercent
}

// Identifies says whether the route asks who calls, so that a door must look the call's API key up.
func (r *Route) Identifies() bool { return r.identifies }

// counts says whether the call is counted at all.
func (r *Route) counts(c Call) bool {
	if r.Mode == Off || len(r.Limits) == 0 {
		return false
	}
	for i := range r.Skip {
		if r.Skip[i].Fits(c) {
			return false
		}
	}
	return true
}

// planOf is the call's plan, and the values that are its caller's own, as far as they make a difference.
func (r *Route) planOf(c Call) (plan string, values map[string]string) {
	if caller := c.Caller(); caller != nil {
		return caller.Plan, caller.Values
	}
	if r.planned {
		plan, _ = c.Attribute("plan")
	}
	return plan, nil
}
