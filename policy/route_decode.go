package policy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// routeDraft is a route while its fields are read.
type routeDraft struct {
	*Route
	policy *Policy
	key    *Node
	others map[string]*Node // fields that mean nothing without limits
}

// counted wraps the reader of a field that means nothing in a route without limits.
func counted(name string, read func(d *decoder, r *routeDraft, n *Node, at *place)) func(*decoder, *routeDraft, *Node, *place) {
	return func(d *decoder, r *routeDraft, n *Node, at *place) {
		if r.others == nil {
			r.others = map[string]*Node{}
		}
		r.others[name] = n
		read(d, r, n, at)
	}
}

var routeFields = fields[routeDraft]{
	{"name", (*decoder).routeName},
	{"match", func(d *decoder, r *routeDraft, n *Node, at *place) { matchFields.read(d, &r.Match, n, at) }},
	{"require", func(d *decoder, r *routeDraft, n *Node, at *place) {
		_, r.RequireAPIKey = d.word(n, at, "api-key")
	}},
	{"key", (*decoder).routeKey},
	{"missing-key", counted("missing-key", (*decoder).routeMissing)},
	{"limits", (*decoder).routeLimits},
	{"cost", counted("cost", (*decoder).routeCost)},
	{"mode", func(d *decoder, r *routeDraft, n *Node, at *place) {
		if w, ok := d.word(n, at, modes...); ok {
			r.Mode = Mode(slices.Index(modes, w))
		}
	}},
	{"enforce", counted("enforce", (*decoder).routeEnforce)},
	{"skip", counted("skip", (*decoder).routeSkip)},
	{"charge-on", counted("charge-on", (*decoder).routeChargeOn)},
	{"over-limit", counted("over-limit", (*decoder).routeOverLimit)},
	{"respond", (*decoder).routeRespond},
	{"upstream", (*decoder).routeUpstream},
}

// maxCovered bounds how many pairs of routes are compared to find those that never match: it is only a warning.
const maxCovered = 1 << 20

// routes reads all routes and puts them into the index.
func (d *decoder) routes(p *Policy, n *Node, at *place) {
	const allowed = "a list of routes; for each call the first that fits holds"
	if n.Kind != List {
		d.wrongKind(n, at, allowed)
		return
	}
	names := make(map[string]int, len(n.Items))
	budget := maxCovered
	p.Routes = make([]*Route, 0, min(len(n.Items), maxRoutes))
	d.each(n, at, maxRoutes, allowed, func(n *Node, at *place) {
		if d.full() {
			return
		}
		r := &Route{
			Number:         len(p.Routes),
			Cost:           Cost{Default: 1},
			EnforcePercent: 100,
			OverLimit:      OverLimit{"text", http.StatusTooManyRequests},
			Line:           n.Line,
			Column:         n.Column,
		}
		before := d.found
		d.route(p, r, n, at)
		if p.Routes = append(p.Routes, r); d.found > before {
			return
		}
		earlier := p.index.coverer(p.Routes, &r.Match, &budget)
		if first, twice := names[r.Name]; r.Name != "" && twice {
			d.mistake(n, at, "the name "+quote(r.Name)+" for a second time", fmt.Sprintf("routes[%d] has it; keys and logs need one of its own", first))
		} else if r.Name == "" {
			r.Name = r.Match.String()
			if first, twice := names[r.Name]; twice {
				earlier = first
				r.Name += fmt.Sprintf(" #%d", r.Number)
			}
		}
		if earlier >= 0 {
			d.warn(n.Line, n.Column, at.String(), "a route that never holds", fmt.Sprintf(
				"routes[%d] in line %d fits all its calls and comes first; put the narrower route before the wider one", earlier, p.Routes[earlier].Line))
		}
		names[r.Name] = r.Number
		p.index.add(r.Number, &r.Match)
		r.Key = r.Key.bind(r.Name, r.Match.Path)
	})
}

// route reads one route.
func (d *decoder) route(p *Policy, r *Route, n *Node, at *place) {
	draft := routeDraft{Route: r, policy: p}
	before := d.found
	if routeFields.read(d, &draft, n, at) && d.found == before {
		d.routeWhole(&draft, n, at)
	}
}

// routeWhole checks what the fields say together.
func (d *decoder) routeWhole(r *routeDraft, n *Node, at *place) {
	r.identifies = r.RequireAPIKey
	for _, l := range r.Limits {
		r.planned = r.planned || len(l.plans) > 0
	}
	r.Key.each(func(k Key) { r.identifies = r.identifies || k.asksCaller() })
	r.identifies = r.identifies || r.planned
	switch {
	case len(r.Limits) > 0 && r.key == nil:
		d.mistake(n, at, "limits without a key", "say who is counted, such as key: address; allowed is "+aKey)
	case len(r.Limits) == 0 && r.key != nil && r.Mode != Off:
		d.mistake(r.key, at.field("key"), "a key without limits", "say limits: [ID, …], or leave the key out")
	case len(r.Limits) == 0 && r.Respond == nil && r.Upstream == nil && !r.RequireAPIKey && r.Mode != Off && len(r.others) == 0:
		d.mistake(n, at, "a route that does nothing", "give it limits, respond, upstream or require; to let its calls pass uncounted say mode: off")
	case len(r.Limits) == 0 && r.Mode != Off:
		for _, f := range routeFields {
			if other := r.others[f.name]; other != nil {
				d.mistake(other, at.field(f.name), f.name+" without limits", "say limits: [ID, …], or leave it out")
			}
		}
	}
	if enforce := r.others["enforce"]; enforce != nil && r.Mode != Enforce {
		d.mistake(enforce, at.field("enforce"), "enforce beside mode: "+r.Mode.String(), "no refusal is meant in that mode; leave one of them out")
	}
	if r.Respond != nil && r.Upstream != nil {
		d.mistake(n, at, "both respond and upstream", "a call is either answered here or handed on")
	}
	r.Key.each(func(k Key) {
		if k.path != "" && !r.Match.Path.has(k.path) {
			d.report(Mistake{Line: r.key.Line, Column: r.key.Column, Field: at.field("key").String(), Found: "found path:" + k.path,
				Allowed: fmt.Sprintf("the path %s has no {%s}", quote(r.Match.Path.text), k.path), Meant: Nearest(k.path, r.Match.Path.Names())})
		}
	})
}

func (d *decoder) routeEnforce(r *routeDraft, n *Node, at *place) {
	const allowed = "for how many of the keys refusals are meant, such as 25%, from 0% to 100%"
	text, ok := d.text(n, at, allowed)
	if !ok {
		return
	}
	digits, isPercent := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseUint(digits, 10, 8)
	if !isPercent || err != nil || percent > 100 {
		d.wrongKind(n, at, allowed)
		return
	}
	r.EnforcePercent = int(percent)
}

func (d *decoder) routeName(r *routeDraft, n *Node, at *place) {
	if text, ok := d.text(n, at, "a name"); ok && isName(text) {
		r.Name = text
	} else if ok {
		d.wrongKind(n, at, "a name of up to 64 letters, digits, - and _")
	}
}

func (d *decoder) routeKey(r *routeDraft, n *Node, at *place) {
	r.key = n
	var keys []Key
	d.each(n, at, maxParts, aKey, func(n *Node, at *place) {
		text, ok := d.text(n, at, aKey)
		if !ok {
			return
		}
		key, err := ParseKey(text)
		if err == nil {
			keys = append(keys, key)
			return
		}
		m := Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: "found " + quote(text), Allowed: err.Error()}
		var wrong *KeyError
		if errors.As(err, &wrong) {
			m.Allowed, m.Meant = wrong.Allowed, wrong.Meant
		}
		d.report(m)
	})
	if len(keys) == 1 {
		r.Key = keys[0]
	} else {
		r.Key = Tuple(keys...)
	}
}

func (d *decoder) routeMissing(r *routeDraft, n *Node, at *place) {
	const allowed = "reject, or {use: NAME} for one key that all such calls share"
	if n.Kind == Scalar && n.Text == "reject" {
		return
	}
	if n.Kind != Map {
		d.wrongKind(n, at, allowed)
		return
	}
	fields[routeDraft]{{"use", func(d *decoder, r *routeDraft, n *Node, at *place) {
		if text, ok := d.text(n, at, "a name"); ok && isName(text) {
			r.Missing = text
			r.missing = Fixed(text).same
		} else if ok {
			d.wrongKind(n, at, "a name of up to 64 letters, digits, - and _")
		}
	}}}.read(d, r, n, at)
	if len(n.Fields) == 0 {
		d.mistake(n, at, "an empty map", "allowed is "+allowed)
	}
}

// maxRouteLimits bounds the claims of a call.
const maxRouteLimits = 16

func (d *decoder) routeLimits(r *routeDraft, n *Node, at *place) {
	d.each(n, at, maxRouteLimits, "the id of a limit or a list of them", func(n *Node, at *place) {
		id, ok := d.text(n, at, "the id of a limit")
		if !ok {
			return
		}
		l := r.policy.byID[id]
		if l == nil {
			d.unknown(n.Line, n.Column, at, "limit", id, r.policy.limitIDs())
			return
		}
		if slices.Contains(r.Limits, l) {
			d.mistake(n, at, "found "+quote(id)+" for a second time", "a limit holds once for a call; use cost to take more of it")
			return
		}
		r.Limits = append(r.Limits, l)
	})
}

// maxCost keeps sums of costs far from overflow.
const maxCost = 1 << 53

var costFields = fields[Cost]{
	{"header", func(d *decoder, c *Cost, n *Node, at *place) { c.Header = d.headerName(n, at) }},
	{"default", func(d *decoder, c *Cost, n *Node, at *place) { c.Default = d.number(n, at, 1, maxCost) }},
	{"max", func(d *decoder, c *Cost, n *Node, at *place) { c.Max = d.number(n, at, 1, maxCost) }},
}

func (d *decoder) routeCost(r *routeDraft, n *Node, at *place) {
	if n.Kind != Map {
		r.Cost.Default = d.number(n, at, 0, maxCost)
		return
	}
	before := d.found
	costFields.read(d, &r.Cost, n, at)
	switch {
	case d.found > before:
	case r.Cost.Header == "":
		d.mistake(n, at, "no header", "name the header that says the cost, or give a number")
	case r.Cost.Max > 0 && r.Cost.Default > r.Cost.Max:
		d.mistake(n, at, fmt.Sprintf("a default of %d above the max of %d", r.Cost.Default, r.Cost.Max), "the default is at most the max")
	}
}

func (d *decoder) headerName(n *Node, at *place) string {
	const allowed = "the name of a header, such as X-Cost"
	text, ok := d.text(n, at, allowed)
	if ok && !isToken(text) {
		d.wrongKind(n, at, allowed)
	}
	return canonical(text)
}

const maxSkips = 64

func (d *decoder) routeSkip(r *routeDraft, n *Node, at *place) {
	d.each(n, at, maxSkips, "a match or a list of matches, for calls that are not counted", func(n *Node, at *place) {
		var m Match
		if matchFields.read(d, &m, n, at) && len(n.Fields) == 0 {
			d.mistake(n, at, "an empty match", "it would skip every call; say mode: off for that")
		}
		r.Skip = append(r.Skip, m)
	})
}
