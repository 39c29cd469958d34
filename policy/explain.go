package policy

import (
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// Explanation says what a policy does with a call, and why. Nothing is counted for it.
type Explanation struct {
	Method, Host, Path string

	// Looked are the routes before the one that holds, and why each does not: all of them if none holds.
	Looked []Look

	// Route is the one that holds; nil if none does, and the call is not limited.
	Route *Route

	// Refusal is the answer at once, if the call is refused without being counted.
	Refusal Refusal

	// Uncounted says why no limit holds, where none does; empty otherwise.
	Uncounted string

	// Plan is the call's, if it has one.
	Plan string

	// Key is who is counted, in words, and Cost what the call takes of each limit.
	Key  string
	Cost int64

	// Limits are those that hold.
	Limits []ExplainedLimit
}

// Look is a route that does not hold, and the first aspect in which the call does not fit.
type Look struct {
	Route   *Route
	Differs Aspect
}

// ExplainedLimit is a limit that holds for a call.
type ExplainedLimit struct {
	*Limit

	// Value is what holds for the call's plan; nil if it is unlimited.
	Value *stint.Limit

	// AtOnce is the most that a key is granted at one instant, and Most the most in any span of Window, which is the limit's
	// own period.
	AtOnce, Most int64
	Window       time.Duration

	// Shadow says that a refusal is only noted.
	Shadow bool
}

// Explain says what the policy does with a call. It looks at the routes one by one, without the index that [Policy.Match] uses.
func (p *Policy) Explain(c Call) Explanation {
	e := Explanation{Method: c.Method(), Host: c.Host(), Path: c.Path()}
	for _, r := range p.Routes {
		differs := r.Match.Differs(c)
		if differs == Nothing {
			e.Route = r
			break
		}
		e.Looked = append(e.Looked, Look{r, differs})
	}
	if e.Route == nil {
		e.Uncounted = "no route fits"
		return e
	}
	e.Plan, _ = planKey.of(c)
	e.explain(e.Route, c)
	return e
}

func (e *Explanation) explain(r *Route, c Call) {
	claims, refusal := r.Claims(c, nil)
	e.Refusal = refusal
	shadow := r.Mode == Shadow
	plan, values := r.planOf(c)
	if len(claims) > 0 {
		shadow = !r.enforces(claims[0].Key)
	}
	for _, l := range r.Limits {
		x := ExplainedLimit{Limit: l, Value: l.valueFor(plan, values), Shadow: shadow}
		if x.Value != nil {
			x.Window = x.Value.Per
			x.AtOnce, x.Most = x.Value.AtOnce(), x.Value.MostIn(x.Window)
		}
		e.Limits = append(e.Limits, x)
	}
	switch {
	case len(claims) > 0:
		e.Key = strings.Join(stint.KeyParts(claims[0].Key), ", ")
		e.Cost = r.Cost.Of(c)
	case refusal != NotRefused:
	case len(r.Limits) == 0:
		e.Uncounted = "the route has no limits"
	case r.Mode == Off:
		e.Uncounted = "the route's mode is off"
	case !r.counts(c):
		e.Uncounted = "the route skips such calls"
	case !r.hasKey(c):
		e.Uncounted = "the call lacks its key, and the route is only tried out"
	default:
		e.Uncounted = "every limit is unlimited for the plan"
	}
}

func (r *Route) hasKey(c Call) bool {
	_, ok := r.Key.Of(c)
	return ok
}

var planKey = Attribute("plan")
