package policy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

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
		o.Status = int(d.number(n, at, 400, 599))
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
		r.Status = int(d.number(n, at, 200, 599))
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
