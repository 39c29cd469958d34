package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
		r := &Route{Cost: Cost{Default: 1}, OverLimit: OverLimit{"text", http.StatusTooManyRequests}, Line: n.Line, Column: n.Column}
		before := d.found
		d.route(p, r, n, at)
		number := len(p.Routes)
		r.Number = number
		p.Routes = append(p.Routes, r)
		if d.found > before {
			return
		}
		if earlier := p.index.coverer(p.Routes, &r.Match, &budget); earlier >= 0 {
			d.warn(n.Line, n.Column, at.String(), "a route that never holds", fmt.Sprintf(
				"routes[%d] in line %d fits all its calls and comes first; put the narrower route before the wider one", earlier, p.Routes[earlier].Line))
			if r.Name == "" {
				r.Name = fmt.Sprintf("%s #%d", r.Match.String(), number) // that nobody else has
			}
		} else if r.Name == "" {
			r.Name = r.Match.String()
		}
		p.index.add(number, &r.Match)
		if other, twice := names[r.Name]; twice {
			d.mistake(n, at, "the name "+quote(r.Name)+" for a second time", fmt.Sprintf("routes[%d] has it; keys and logs need one of its own", other))
		}
		names[r.Name] = number
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
	for _, l := range r.Limits {
		r.planned = r.planned || len(l.plans) > 0
	}
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
	if r.Respond != nil && r.Upstream != nil {
		d.mistake(n, at, "both respond and upstream", "a call is either answered here or handed on")
	}
	r.Key.each(func(k Key) {
		if k.path != "" && !r.Match.Path.has(k.path) {
			d.report(Mistake{Line: r.key.Line, Column: r.key.Column, Field: at.field("key").String(), Found: "found path:" + k.path,
				Allowed: fmt.Sprintf("the path %s has no {%s}", quote(r.Match.Path.text), k.path), Meant: nearest(k.path, r.Match.Path.Names())})
		}
	})
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
	{"default", func(d *decoder, c *Cost, n *Node, at *place) { c.Default, _ = d.number(n, at, 1, maxCost) }},
	{"max", func(d *decoder, c *Cost, n *Node, at *place) { c.Max, _ = d.number(n, at, 1, maxCost) }},
}

func (d *decoder) routeCost(r *routeDraft, n *Node, at *place) {
	if n.Kind != Map {
		r.Cost.Default, _ = d.number(n, at, 0, maxCost)
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

var chargeFields = fields[ChargeOn]{
	{"status", (*decoder).chargeStatus},
	{"header", func(d *decoder, c *ChargeOn, n *Node, at *place) { c.Header = d.headerName(n, at) }},
}

func (d *decoder) routeChargeOn(r *routeDraft, n *Node, at *place) {
	r.ChargeOn = new(ChargeOn)
	if n.Kind != Map {
		d.chargeStatus(r.ChargeOn, n, at)
		return
	}
	chargeFields.read(d, r.ChargeOn, n, at)
	if len(n.Fields) == 0 {
		d.mistake(n, at, "an empty map", "say status: 2xx, or header: NAME")
	}
}

func (d *decoder) chargeStatus(c *ChargeOn, n *Node, at *place) {
	const allowed = "statuses of responses, such as 2xx, 404 or 200-299, or a list of them"
	d.each(n, at, 32, allowed, func(n *Node, at *place) {
		text, ok := d.text(n, at, allowed)
		if !ok {
			return
		}
		r, ok := parseStatus(text)
		if !ok {
			d.wrongKind(n, at, allowed)
			return
		}
		c.Statuses = append(c.Statuses, r)
	})
}

func parseStatus(text string) (StatusRange, bool) {
	if class, ok := strings.CutSuffix(text, "xx"); ok && len(class) == 1 && class[0] >= '1' && class[0] <= '5' {
		first := int(class[0]-'0') * 100
		return StatusRange{first, first + 99}, true
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	return StatusRange{first, last}, err1 == nil && err2 == nil && 100 <= first && first <= last && last <= 599
}

var overLimitFields = fields[OverLimit]{
	{"format", func(d *decoder, o *OverLimit, n *Node, at *place) { d.overLimitFormat(o, n, at) }},
	{"status", func(d *decoder, o *OverLimit, n *Node, at *place) {
		status, _ := d.number(n, at, 400, 599)
		o.Status = int(status)
	}},
}

func (d *decoder) routeOverLimit(r *routeDraft, n *Node, at *place) {
	if n.Kind == Scalar {
		d.overLimitFormat(&r.OverLimit, n, at)
		return
	}
	overLimitFields.read(d, &r.OverLimit, n, at)
}

func (d *decoder) overLimitFormat(o *OverLimit, n *Node, at *place) {
	if w, ok := d.word(n, at, "text", "json", "problem", "accept"); ok {
		o.Format = w
	}
}

// Bounds on an answer that stands in the file.
const (
	maxBody          = 1 << 20
	maxAnswerHeaders = 32
)

var respondFields = fields[Response]{
	{"status", func(d *decoder, r *Response, n *Node, at *place) {
		status, _ := d.number(n, at, 200, 599)
		r.Status = int(status)
	}},
	{"body", func(d *decoder, r *Response, n *Node, at *place) {
		if n.Kind != Scalar {
			d.wrongKind(n, at, "a text")
		} else if len(n.Text) > maxBody {
			d.mistake(n, at, fmt.Sprintf("a body of %d bytes", len(n.Text)), fmt.Sprintf("at most %d are allowed", maxBody))
		}
		r.Body = n.Text
	}},
	{"headers", func(d *decoder, r *Response, n *Node, at *place) {
		d.named(n, at, maxAnswerHeaders, "a map from the name of a header to its value", func(f Field, at *place) {
			if !isToken(f.Name) {
				d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.parent.String(), Found: "found " + quote(f.Name), Allowed: "allowed is the name of a header"})
			} else if f.Value.Kind != Scalar || strings.ContainsFunc(f.Value.Text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				d.wrongKind(f.Value, at, "a text without line breaks")
			} else {
				r.Headers = append(r.Headers, Condition{canonical(f.Name), f.Value.Text})
			}
		})
	}},
}

func (d *decoder) routeRespond(r *routeDraft, n *Node, at *place) {
	answer := Response{Status: http.StatusOK}
	if !respondFields.read(d, &answer, n, at) {
		return
	}
	if answer.Body != "" && (answer.Status == http.StatusNoContent || answer.Status == http.StatusNotModified) {
		d.mistake(n, at, fmt.Sprintf("a body with the status %d", answer.Status), "such an answer has none; leave the body or the status out")
	}
	if answer.Body != "" && !slices.ContainsFunc(answer.Headers, func(h Condition) bool { return h.Name == "Content-Type" }) {
		kind := "text/plain; charset=utf-8"
		if strings.ContainsAny(answer.Body[:1], "{[") && json.Valid([]byte(answer.Body)) {
			kind = "application/json"
		}
		answer.Headers = append(answer.Headers, Condition{"Content-Type", kind})
	}
	r.Respond = &answer
}

func (d *decoder) routeUpstream(r *routeDraft, n *Node, at *place) {
	const allowed = "a URL such as http://127.0.0.1:5000"
	text, ok := d.text(n, at, allowed)
	if !ok {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		d.mistake(n, at, "found "+quote(redacted(text)), "allowed is "+allowed)
		return
	}
	r.Upstream = u
}
