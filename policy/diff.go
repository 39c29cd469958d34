package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one thing that differs between two policies.
type Change struct {
	Field    string // such as "limits.hourly", or "routes /api/**"
	Old, New string // what is said of it; empty where it is not there
}

func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s: %s", c.Field, c.New)
	case c.New == "":
		return fmt.Sprintf("- %s: %s", c.Field, c.Old)
	}
	return fmt.Sprintf("~ %s: %s, was %s", c.Field, c.New, c.Old)
}

// Diff is what changes where a policy takes the place of another, in the order of the file. Texts that mean the same are no change.
func Diff(old, p *Policy) []Change {
	var d differ
	d.compare("store", old.Redacted(), p.Redacted())
	if old.Store != p.Store && old.Redacted() == p.Redacted() {
		d.changes = append(d.changes, Change{"store", old.Redacted(), "the same with another password or options"})
	}
	d.compare("store-deadline", timeText(old.StoreDeadline), timeText(p.StoreDeadline))
	d.compare("instances", numberText(old.Instances), numberText(p.Instances))
	d.compare("accounts", redacted(old.Accounts), redacted(p.Accounts))
	d.compare("accounts-grace", timeText(old.AccountsGrace), timeText(p.AccountsGrace))
	d.compare("api.own-limits", strings.Join(old.OwnLimits, ", "), strings.Join(p.OwnLimits, ", "))
	d.compare("headers", strings.Join(old.Headers, ", "), strings.Join(p.Headers, ", "))
	d.compare("clients", old.Clients.text(), p.Clients.text())
	d.each("limits.", limitTexts(old.Limits), limitTexts(p.Limits))
	d.each("plans.", planTexts(old), planTexts(p))
	d.each("routes ", routeTexts(old.Routes), routeTexts(p.Routes))
	d.order(old.Routes, p.Routes)
	return d.changes
}

// text is a name and what is said of it.
type text struct{ name, said string }

type differ struct{ changes []Change }

func (d *differ) compare(field, was, is string) {
	if was != is {
		d.changes = append(d.changes, Change{field, was, is})
	}
}

// each compares what stands under the same names.
func (d *differ) each(prefix string, before, after []text) {
	was := make(map[string]string, len(before))
	for _, o := range before {
		was[o.name] = o.said
	}
	is := make(map[string]bool, len(after))
	for _, n := range after {
		is[n.name] = true
		d.compare(prefix+n.name, was[n.name], n.said)
	}
	for _, o := range before {
		if !is[o.name] {
			d.compare(prefix+o.name, o.said, "")
		}
	}
}

// order says that routes that both policies have stand in another order, which may change which of them holds for a call.
func (d *differ) order(before, after []*Route) {
	place := make(map[string]int, len(before))
	for i, r := range before {
		place[r.Name] = i + 1
	}
	last := 0
	for _, r := range after {
		at := place[r.Name]
		if at > 0 && at < last {
			d.changes = append(d.changes, Change{"routes " + r.Name, "before " + before[last-1].Name, "behind it"})
		}
		last = max(last, at)
	}
}

func timeText(t fmt.Stringer) string {
	if s := t.String(); s != "0s" {
		return s
	}
	return ""
}

func numberText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (c Clients) text() string {
	var parts []string
	if len(c.TrustedProxies) > 0 {
		parts = append(parts, fmt.Sprintf("trusted-proxies %v", c.TrustedProxies))
	}
	if c.Hops > 0 {
		parts = append(parts, fmt.Sprintf("hops %d", c.Hops))
	}
	return strings.Join(append(parts, fmt.Sprintf("ipv6-prefix %d", c.IPv6Prefix)), ", ")
}

func limitTexts(limits []*Limit) []text {
	texts := make([]text, len(limits))
	for i, l := range limits {
		parts := []string{valueText(l)}
		if l.OnStoreLoss != LossClosed {
			parts = append(parts, "on-store-loss "+l.OnStoreLoss.String())
		}
		if change := carries[l.draft.OnChange]; change != carries[0] {
			parts = append(parts, "on-change "+change)
		}
		if l.Lease > 0 {
			parts = append(parts, fmt.Sprintf("lease %d", l.Lease))
		}
		if l.Candidate != nil {
			parts = append(parts, "candidate "+l.Candidate.String())
		}
		texts[i] = text{l.ID, strings.Join(parts, ", ")}
	}
	return texts
}

func valueText(l *Limit) string {
	if l.Value == nil {
		return unlimited
	}
	return l.Value.String()
}

func planTexts(p *Policy) []text {
	var texts []text
	for _, plan := range p.Plans {
		for _, l := range p.Limits {
			value, ok := l.plans[plan]
			switch {
			case ok && value == nil:
				texts = append(texts, text{plan + "." + l.ID, unlimited})
			case ok:
				texts = append(texts, text{plan + "." + l.ID, value.String()})
			}
		}
	}
	return texts
}

func routeTexts(routes []*Route) []text {
	texts := make([]text, len(routes))
	for i, r := range routes {
		texts[i] = text{r.Name, r.text()}
	}
	return texts
}

// text is all that a route says, in one line.
func (r *Route) text() string {
	var parts []string
	add := func(format string, values ...any) { parts = append(parts, fmt.Sprintf(format, values...)) }
	if m := r.Match.String(); m != r.Name {
		add("match %s", m)
	}
	if r.RequireAPIKey {
		add("require api-key")
	}
	if len(r.Limits) > 0 {
		ids := make([]string, len(r.Limits))
		for i, l := range r.Limits {
			ids[i] = l.ID
		}
		add("key %s, limits %s", r.Key, strings.Join(ids, "+"))
	}
	if r.Missing != "" {
		add("missing-key use %s", r.Missing)
	}
	if c := r.Cost; c != (Cost{Default: 1}) {
		add("cost %s", c.text())
	}
	if r.Mode != Enforce {
		add("mode %s", r.Mode)
	}
	if r.EnforcePercent != 100 {
		add("enforce %d%%", r.EnforcePercent)
	}
	for i := range r.Skip {
		add("skip %s", r.Skip[i].String())
	}
	if c := r.ChargeOn; c != nil {
		add("charge-on %v %s", c.Statuses, c.Header)
	}
	if r.OverLimit != (OverLimit{"text", 429}) {
		add("over-limit %s %d", r.OverLimit.Format, r.OverLimit.Status)
	}
	if a := r.Respond; a != nil {
		add("respond %d %q", a.Status, abridged(a.Body))
		for _, h := range a.Headers {
			add("%s: %s", h.Name, h.Value)
		}
	}
	if r.Upstream != nil {
		add("upstream %s", r.Upstream)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func (c Cost) text() string {
	said := fmt.Sprint(c.Default)
	if c.Header != "" {
		said += " or header " + c.Header
	}
	if c.Max > 0 {
		said += fmt.Sprintf(" up to %d", c.Max)
	}
	return said
}

// maxShownBody is how much of a body a difference shows.
const maxShownBody = 60

// abridged is a body as a difference shows it: a long one by its beginning and a sum over all of it, so that no change is missed.
func abridged(body string) string {
	if len(body) <= maxShownBody {
		return body
	}
	sum := uint32(2166136261)
	for i := range len(body) {
		sum = (sum ^ uint32(body[i])) * 16777619
	}
	return fmt.Sprintf("%s… (%d bytes, sum %08x)", body[:maxShownBody], len(body), sum)
}
