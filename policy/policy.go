package policy

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Policy says which limits hold for which calls. It never changes once it is made, so it is safe for concurrent use; a new
// version of a file is a new Policy. Make one with [Parse], or of another file format with [FromNode].
type Policy struct {
	// File is where it was read from.
	File string

	// Store is where the counts live: "memory", or the URL of a shared store.
	Store string

	// StoreDeadline bounds how long a call waits for a shared store; 0 for what suits the store.
	StoreDeadline time.Duration

	// Instances is how many instances share a store, by which each knows its share while that is lost; 0 if the file does not say.
	Instances int

	// Accounts is where API keys are looked up: the URL of a database, [AccountsNone] if they stand for their users, or empty for what
	// the program takes if nothing is said. AccountsGrace is how long the last known answers hold while it is lost; 0 for a minute.
	Accounts      string
	AccountsGrace time.Duration

	// OwnLimits are the users who may send limits of their own to the decision API.
	OwnLimits []string

	// Headers are the dialects in which responses say what is left: ietf, x, x-seconds, draft-6; or none. Default: ietf.
	Headers []string

	// Clients says how a client's address is found.
	Clients Clients

	// Limits, Plans and Routes are in the order of the file.
	Limits []*Limit
	Plans  []string
	Routes []*Route

	// Warnings are what is allowed in the file and probably not meant.
	Warnings []Mistake

	byID  map[string]*Limit
	index *index
}

// Clients says how a client's address is found. The zero value takes the connection's.
type Clients struct {
	// TrustedProxies are the networks whose forwarding headers are believed.
	TrustedProxies []netip.Prefix

	// Hops is how many proxies stand in front, in place of their networks; 0 if TrustedProxies says it.
	Hops int

	// IPv6Prefix is how many bits of an IPv6 address make one client. Default: 64.
	IPv6Prefix int
}

// Limit is the limit of that id; nil if there is none.
func (p *Policy) Limit(id string) *Limit { return p.byID[id] }

// Match is the route that holds for a call: the first one in the file's order that fits. nil if none does.
func (p *Policy) Match(c Call) *Route { return p.index.find(p.Routes, c) }

// Redacted is the store without its password, for logs and messages.
func (p *Policy) Redacted() string { return redacted(p.Store) }

func (p *Policy) limitIDs() []string {
	ids := make([]string, len(p.Limits))
	for i, l := range p.Limits {
		ids[i] = l.ID
	}
	return ids
}

// draft is a policy while its file is read: what stands in later fields may be needed for earlier ones.
type draft struct {
	*Policy
	limits, plans, routes *Node
}

var policyFields = fields[draft]{
	{"store", (*decoder).store},
	{"store-deadline", func(d *decoder, p *draft, n *Node, at *place) {
		p.StoreDeadline = d.duration(n, at, time.Millisecond, maxDeadline)
	}},
	{"instances", func(d *decoder, p *draft, n *Node, at *place) { p.Instances = int(d.number(n, at, 1, maxInstances)) }},
	{"accounts", (*decoder).accounts},
	{"accounts-grace", func(d *decoder, p *draft, n *Node, at *place) {
		p.AccountsGrace = d.duration(n, at, time.Second, maxGrace)
	}},
	{"api", func(d *decoder, p *draft, n *Node, at *place) { apiFields.read(d, p.Policy, n, at) }},
	{"limits", func(_ *decoder, p *draft, n *Node, _ *place) { p.limits = n }},
	{"plans", func(_ *decoder, p *draft, n *Node, _ *place) { p.plans = n }},
	{"clients", func(d *decoder, p *draft, n *Node, at *place) { d.clients(&p.Clients, n, at) }},
	{"headers", (*decoder).headers},
	{"routes", func(_ *decoder, p *draft, n *Node, _ *place) { p.routes = n }},
}

// FromNode makes a policy of a file that was read into a tree, in which no node is nil. The error is a [*Mistakes] with all that
// is wrong.
func FromNode(file string, n *Node) (*Policy, error) {
	d := decoder{file: file}
	p := draft{Policy: &Policy{
		File:    file,
		Store:   "memory",
		Headers: []string{"ietf"},
		Clients: Clients{IPv6Prefix: 64},
		byID:    map[string]*Limit{},
		index:   newIndex(),
	}}
	if policyFields.read(&d, &p, n, nil) {
		var top *place
		if p.limits != nil {
			d.limits(p.Policy, p.limits, top.field("limits"))
		}
		if p.plans != nil {
			d.plans(p.Policy, p.plans, top.field("plans"))
		}
		if p.routes != nil {
			d.routes(p.Policy, p.routes, top.field("routes"))
		} else if d.found == 0 {
			d.mistake(n, top, "no routes", "say for which calls the limits hold, such as routes: [{key: address, limits: [ID]}]")
		}
	}
	if d.found > 0 {
		return nil, d.all()
	}
	d.doubts(p.Policy)
	p.Warnings = d.warnings
	slices.SortStableFunc(p.Warnings, byPlace)
	return p.Policy, nil
}

// maxOwnLimits bounds the users who may send limits of their own.
const maxOwnLimits = 1000

var apiFields = fields[Policy]{
	{"own-limits", func(d *decoder, p *Policy, n *Node, at *place) {
		const allowed = "the name of a user, or a list of them, who may send limits of their own to the decision API"
		d.each(n, at, maxOwnLimits, allowed, func(n *Node, at *place) {
			if text, ok := d.text(n, at, allowed); ok {
				p.OwnLimits = append(p.OwnLimits, text)
			}
		})
	}},
}

// stores are the schemes of shared stores.
var stores = []string{"redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel", "postgres", "postgresql", "mysql", "mariadb", "sqlite"}

func (d *decoder) store(p *draft, n *Node, at *place) {
	const allowed = "memory, redis://…, rediss://…, redis+cluster://…, postgres://…, mysql://… or sqlite:FILE"
	if text, ok := d.address(n, at, "store", "memory", stores, allowed); ok {
		p.Store = text
	}
}

// databases are the schemes of the databases that accounts can be kept in.
var databases = []string{"sqlite", "postgres", "postgresql", "mysql", "mariadb"}

// AccountsNone says that nothing is looked up: an API key stands for its user.
const AccountsNone = "none"

// maxGrace bounds for how long a key that was revoked meanwhile may go on while the accounts are lost.
const maxGrace = 24 * time.Hour

func (d *decoder) accounts(p *draft, n *Node, at *place) {
	const allowed = "none, sqlite:FILE, postgres://… or mysql://…"
	if text, ok := d.address(n, at, "database", AccountsNone, databases, allowed); ok {
		p.Accounts = text
	}
}

// address reads the address of a store or a database: a word, or a URL of one of the schemes.
func (d *decoder) address(n *Node, at *place, kind, word string, schemes []string, allowed string) (string, bool) {
	text, ok := d.text(n, at, allowed)
	if !ok {
		return "", false
	}
	scheme, rest, isURL := strings.Cut(text, ":")
	_, err := url.Parse(text)
	switch {
	case text == word:
	case !isURL:
		d.report(Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: "found " + quote(redacted(text)),
			Meant: Nearest(text, append([]string{word}, schemes...)), Allowed: "allowed is " + allowed})
		return "", false
	case !slices.Contains(schemes, scheme):
		d.report(Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: "found a " + kind + " of the kind " + quote(scheme),
			Meant: Nearest(scheme, schemes), Allowed: "allowed is " + allowed})
		return "", false
	case err != nil || rest == "" || scheme != "sqlite" && !strings.HasPrefix(rest, "//"):
		d.mistake(n, at, "found "+quote(redacted(text)), "a "+kind+" is an address such as "+scheme+"://user:password@host:port; write special characters as %XX")
		return "", false
	}
	return text, true
}

// redacted is an address without what may be a password: what stands before the @, and the options.
func redacted(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return address
	}
	before, options, _ := strings.Cut(rest, "?")
	if strings.Contains(options, "@") {
		return scheme + "://…" // it cannot be told apart
	}
	if at := strings.LastIndexByte(before, '@'); at >= 0 {
		before = "…" + before[at:]
	}
	return scheme + "://" + before
}

var dialects = []string{"ietf", "x", "x-seconds", "draft-6", "none"}

func (d *decoder) headers(p *draft, n *Node, at *place) {
	p.Headers = nil
	d.each(n, at, len(dialects), "one or more of "+oneOf(dialects), func(n *Node, at *place) {
		w, ok := d.word(n, at, dialects...)
		if !ok {
			return
		}
		for _, other := range p.Headers {
			if w == other || w == "none" || other == "none" || strings.HasPrefix(w, "x") && strings.HasPrefix(other, "x") {
				d.mistake(n, at, "found "+w+" beside "+other, "each stands once, none stands alone, and x and x-seconds write the same headers")
				return
			}
		}
		p.Headers = append(p.Headers, w)
	})
}

var clientFields = fields[Clients]{
	{"trusted-proxies", func(d *decoder, c *Clients, n *Node, at *place) { c.TrustedProxies = d.networks(n, at) }},
	{"hops", func(d *decoder, c *Clients, n *Node, at *place) {
		c.Hops = int(d.number(n, at, 1, 32))
	}},
	{"ipv6-prefix", func(d *decoder, c *Clients, n *Node, at *place) {
		c.IPv6Prefix = int(d.number(n, at, 1, 128))
	}},
}

func (d *decoder) clients(c *Clients, n *Node, at *place) {
	if clientFields.read(d, c, n, at) && c.Hops > 0 && len(c.TrustedProxies) > 0 {
		d.mistake(n, at, "both trusted-proxies and hops", "say one of them: whom to believe, or how many stand in front")
	}
}

// doubts warns of what is allowed and probably not meant.
func (d *decoder) doubts(p *Policy) {
	used := map[*Limit]bool{}
	for i, r := range p.Routes {
		for _, l := range r.Limits {
			used[l] = true
			if v := l.Value; v != nil && v.Capacity() > 0 && r.Cost.Default > v.Capacity() {
				d.warn(r.Line, r.Column, fmt.Sprintf("routes[%d]", i), fmt.Sprintf("a cost of %d under the limit %q, which admits at most %d at once",
					r.Cost.Default, l.ID, v.Capacity()), "every call is refused for good; raise the limit or its burst")
			}
		}
		for _, network := range r.Match.Addresses {
			if network.Addr().Is6() && network.Bits() > p.Clients.IPv6Prefix {
				d.warn(r.Line, r.Column, fmt.Sprintf("routes[%d].match.address", i), fmt.Sprintf("the network %s, longer than ipv6-prefix %d", network, p.Clients.IPv6Prefix),
					"clients are known by their prefix only, so it fits nobody")
			}
		}
	}
	for _, l := range p.Limits {
		if l.Lease > 0 && p.Store == "memory" {
			d.warn(l.Line, l.Column, "limits."+l.ID+".lease", "a lease with store: memory", "it has no effect: nobody else counts there")
		}
		if !used[l] {
			d.warn(l.Line, l.Column, "limits."+l.ID, "a limit that no route uses", "name it in the limits of a route, or leave it out")
		}
	}
}
