package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Match says for which calls a route holds: for those that fit every condition given. The zero Match fits every call.
type Match struct {
	Path    Pattern
	Methods []string // in upper case; GET fits HEAD, too
	Host    string   // in lower case and without a port; *.example.com fits every host below example.com

	// Headers and Query are values that a call must have, in which * stands for any characters. Of several values under one
	// name the first counts.
	Headers, Query []Condition

	// Addresses are networks that the client's address must be in. An IPv6 client is known by its network, so one longer than
	// the policy's ipv6-prefix fits nobody.
	Addresses []netip.Prefix
}

// Condition is a value that must stand under a name.
type Condition struct{ Name, Value string }

// Aspect is a part of a call that a [Match] looks at.
type Aspect uint8

// The aspects, in the order in which they are looked at.
const (
	Nothing Aspect = iota
	ThePath
	TheMethod
	TheHost
	AHeader
	AQueryValue
	TheAddress
)

var aspects = [...]string{"", "path", "method", "host", "header", "query", "address"}

func (a Aspect) String() string { return aspects[min(int(a), len(aspects)-1)] }

// Fits says whether the call fits.
func (m *Match) Fits(c Call) bool { return m.Differs(c) == Nothing }

// Differs is the first aspect in which the call does not fit; Nothing if it fits.
func (m *Match) Differs(c Call) Aspect {
	switch {
	case !m.Path.Match(c.Path()):
		return ThePath
	case len(m.Methods) > 0 && !m.fitsMethod(c.Method()):
		return TheMethod
	case m.Host != "" && !globMatch(m.Host, c.Host()):
		return TheHost
	}
	for i := range m.Headers {
		if v, ok := c.Header(m.Headers[i].Name); !ok || !globMatch(m.Headers[i].Value, v) {
			return AHeader
		}
	}
	for i := range m.Query {
		if v, ok := c.Query(m.Query[i].Name); !ok || !globMatch(m.Query[i].Value, v) {
			return AQueryValue
		}
	}
	if len(m.Addresses) > 0 && !m.fitsAddress(c) {
		return TheAddress
	}
	return Nothing
}

func (m *Match) fitsMethod(method string) bool {
	return slices.Contains(m.Methods, method) || method == "HEAD" && slices.Contains(m.Methods, "GET")
}

func (m *Match) fitsAddress(c Call) bool {
	text, ok := c.Address()
	if !ok {
		return false
	}
	client, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return false
		}
		client = netip.PrefixFrom(address, address.BitLen())
	}
	for _, network := range m.Addresses {
		if network.Bits() <= client.Bits() && network.Contains(client.Addr()) {
			return true
		}
	}
	return false
}

// String is the match in one line, such as "GET,POST api.example.com/users/*". No two different ones have the same text.
func (m *Match) String() string {
	var b strings.Builder
	if len(m.Methods) > 0 {
		b.WriteString(strings.Join(m.Methods, ",") + " ")
	}
	b.WriteString(m.Host)
	if b.WriteString(m.Path.text); m.Path.text == "" {
		b.WriteString("/**")
	}
	for _, h := range m.Headers {
		fmt.Fprintf(&b, " header %s=%q", h.Name, h.Value)
	}
	for _, q := range m.Query {
		fmt.Fprintf(&b, " query %s=%q", q.Name, q.Value)
	}
	for _, a := range m.Addresses {
		b.WriteString(" address " + a.String())
	}
	return b.String()
}

// covers says whether m fits every call that other fits. It may say no where that is hard to tell.
func (m *Match) covers(other *Match) bool {
	if len(m.Methods) > 0 && (len(other.Methods) == 0 || slices.ContainsFunc(other.Methods, func(s string) bool { return !m.fitsMethod(s) })) {
		return false
	}
	if m.Host != "" && (other.Host == "" || !globMatch(m.Host, other.Host)) {
		return false
	}
	if !m.Path.covers(other.Path) || !coverConditions(m.Headers, other.Headers) || !coverConditions(m.Query, other.Query) {
		return false
	}
	if len(m.Addresses) == 0 {
		return true
	}
	return len(other.Addresses) > 0 && !slices.ContainsFunc(other.Addresses, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(m.Addresses, func(network netip.Prefix) bool {
			return network.Bits() <= p.Bits() && network.Contains(p.Addr())
		})
	})
}

// coverConditions says whether whoever has all of the others' values has all of these.
func coverConditions(these, others []Condition) bool {
	for _, c := range these {
		if !slices.ContainsFunc(others, func(o Condition) bool { return o.Name == c.Name && (c.Value == o.Value || c.Value == "*") }) {
			return false
		}
	}
	return true
}

var matchFields = fields[Match]{
	{"path", (*decoder).matchPath},
	{"method", (*decoder).matchMethod},
	{"host", (*decoder).matchHost},
	{"header", func(d *decoder, m *Match, n *Node, at *place) { m.Headers = d.conditions(n, at, true) }},
	{"query", func(d *decoder, m *Match, n *Node, at *place) { m.Query = d.conditions(n, at, false) }},
	{"address", func(d *decoder, m *Match, n *Node, at *place) { m.Addresses = d.networks(n, at) }},
}

func (d *decoder) matchPath(m *Match, n *Node, at *place) {
	text, ok := d.text(n, at, "a path, such as /users, /users/{id}, /img/*.png or /api/**")
	if !ok {
		return
	}
	pattern, err := ParsePattern(text)
	if err != nil {
		d.mistake(n, at, "found "+quote(text), err.Error())
		return
	}
	m.Path = pattern
}

// methods are those of RFC 9110 and PATCH. Others exist, but a misspelt one would be a route that holds for nobody.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "PURGE"}

func (d *decoder) matchMethod(m *Match, n *Node, at *place) {
	d.each(n, at, len(methods), "a method or a list of methods", func(n *Node, at *place) {
		method, ok := d.word(n, at, methods...)
		if ok && slices.Contains(m.Methods, method) {
			d.mistake(n, at, fmt.Sprintf("found %s for a second time", method), "once is enough")
			return
		}
		m.Methods = append(m.Methods, method)
	})
}

func (d *decoder) matchHost(m *Match, n *Node, at *place) {
	const allowed = "a host in lower case and without a port, such as api.example.com or *.example.com"
	text, ok := d.text(n, at, allowed)
	if !ok {
		return
	}
	bare := strings.TrimPrefix(text, "*.")
	if strings.ContainsAny(bare, "*/ ") || bare == "" || bare != strings.ToLower(bare) || len(text) > 255 || hasPort(bare) {
		d.wrongKind(n, at, allowed)
		return
	}
	m.Host = text
}

// hasPort says whether a host has a port. An IPv6 address has colons of its own.
func hasPort(host string) bool {
	return strings.Contains(host, ":") && strings.Contains(host, "]:") || strings.Count(host, ":") == 1
}

const maxConditions = 16

func (d *decoder) conditions(n *Node, at *place, header bool) []Condition {
	const allowed = "a map from a name to a value, in which * stands for any characters"
	var all []Condition
	d.named(n, at, maxConditions, allowed, func(f Field, at *place) {
		c := Condition{Name: f.Name}
		if header {
			if !isToken(f.Name) {
				d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.String(), Found: "found " + quote(f.Name),
					Allowed: "allowed is the name of a header"})
				return
			}
			c.Name = canonical(f.Name)
		}
		if f.Value.Kind != Scalar {
			d.wrongKind(f.Value, at, "a text, in which * stands for any characters")
			return
		}
		c.Value = f.Value.Text
		all = append(all, c)
	})
	return all
}

const maxNetworks = 1024

// networks reads networks, such as 10.0.0.0/8, and addresses, which are networks of one.
func (d *decoder) networks(n *Node, at *place) []netip.Prefix {
	const allowed = "a network or an address, such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"
	var all []netip.Prefix
	d.each(n, at, maxNetworks, allowed, func(n *Node, at *place) {
		text, ok := d.text(n, at, allowed)
		if !ok {
			return
		}
		network, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			d.wrongKind(n, at, allowed)
		case network.Addr().Is4In6():
			d.mistake(n, at, "found "+quote(text), "write it as the IPv4 address that it stands for: "+network.Addr().Unmap().String())
		case network.Masked() != network:
			d.report(Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: "found " + quote(text),
				Meant: network.Masked().String(), Allowed: fmt.Sprintf("a network of /%d has no bits set after the first %d", network.Bits(), network.Bits())})
		default:
			all = append(all, network)
		}
	})
	return all
}
