package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder turns nodes into a policy and collects what is wrong with them.
type decoder struct {
	file     string
	mistakes Mistakes
	found    int // mistakes, those that are not kept as well
	warnings []Mistake
}

// place is where a node stands in the tree. Its text is made only for a mistake.
type place struct {
	parent *place
	name   string
	item   int // counts from 1 in a list; 0 in a map
}

func (p *place) field(name string) *place { return &place{parent: p, name: name} }

func (p *place) index(i int) *place { return &place{parent: p, item: i + 1} }

func (p *place) String() string {
	switch {
	case p == nil:
		return ""
	case p.item > 0:
		return fmt.Sprintf("%s[%d]", p.parent, p.item-1)
	case p.parent == nil:
		return p.label()
	default:
		return p.parent.String() + "." + p.label()
	}
}

// label is the name, in quotes if it could break the line or be taken for several.
func (p *place) label() string {
	if isName(p.name) {
		return p.name
	}
	return quote(p.name)
}

// full says that no more mistakes are taken, so that looking for more of them is in vain.
func (d *decoder) full() bool { return d.mistakes.More }

// mistake reports what was found at a node.
func (d *decoder) mistake(n *Node, at *place, found, allowed string) {
	d.report(Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: found, Allowed: allowed})
}

func (d *decoder) report(m Mistake) {
	d.found++
	if len(d.mistakes.List) == MaxMistakes {
		d.mistakes.More = true
		return
	}
	m.File = d.file
	d.mistakes.List = append(d.mistakes.List, m)
}

// all are the mistakes, from top to bottom.
func (d *decoder) all() *Mistakes {
	slices.SortStableFunc(d.mistakes.List, byPlace)
	return &d.mistakes
}

func byPlace(a, b Mistake) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// warn reports what is allowed and probably not meant.
func (d *decoder) warn(line, column int, field, found, advice string) {
	if len(d.warnings) < MaxMistakes {
		d.warnings = append(d.warnings, Mistake{File: d.file, Line: line, Column: column, Field: field, Found: found, Allowed: advice})
	}
}

// fields are what a map may hold: for each name what reads its value into a T.
type fields[T any] []struct {
	name string
	read func(d *decoder, into *T, n *Node, at *place)
}

func (fs fields[T]) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

// read reads a map, and reports every field that it may not hold. False if it is no map.
func (fs fields[T]) read(d *decoder, into *T, n *Node, at *place) bool {
	if n.Kind != Map {
		d.wrongKind(n, at, "a map with "+oneOf(fs.names()))
		return false
	}
next:
	for _, f := range d.once(n, at) {
		for _, known := range fs {
			if known.name != f.Name {
				continue
			}
			under := at.field(f.Name)
			if f.Value.Kind == Null {
				d.mistake(f.Value, under, "nothing", "give a value, indented deeper than its name, or leave the field out")
			} else {
				known.read(d, into, f.Value, under)
			}
			continue next
		}
		known := fs.names()
		if home := homes[f.Name]; home != "" {
			d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.String(), Found: fmt.Sprintf("field %s in the wrong place", quote(f.Name)),
				Allowed: fmt.Sprintf("it belongs in %s; known here: %s", home, oneOf(known))})
			continue
		}
		d.unknown(f.Line, f.Column, at, "field", f.Name, known)
	}
	return true
}

// homes say where fields belong that are easily put elsewhere, by a slip of the indentation.
var homes = map[string]string{
	"path": "match", "method": "match", "host": "match", "query": "match",
	"rate": "a limit", "burst": "a limit", "strategy": "a limit", "on-store-loss": "a limit", "on-change": "a limit",
	"trusted-proxies": "clients", "hops": "clients", "ipv6-prefix": "clients",
	"body": "respond", "upstream": "a route", "key": "a route", "cost": "a route",
}

// once are the fields of a map. A name that stands twice is reported, and counts where it stands first.
func (d *decoder) once(n *Node, at *place) []Field {
	if len(n.Fields) < 2 {
		return n.Fields
	}
	lines := make(map[string]int, len(n.Fields))
	all := n.Fields[:0:0]
	for _, f := range n.Fields {
		if line, twice := lines[f.Name]; twice {
			d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.String(), Found: quote(f.Name) + " for a second time",
				Allowed: fmt.Sprintf("it stands in line %d already", line)})
			continue
		}
		lines[f.Name] = f.Line
		all = append(all, f)
	}
	return all
}

// unknown reports a name that is not among those known.
func (d *decoder) unknown(line, column int, at *place, what, name string, known []string) {
	if d.full() {
		return
	}
	allowed := "known: " + oneOf(known)
	if len(known) == 0 {
		allowed = "there is none"
	}
	d.report(Mistake{Line: line, Column: column, Field: at.String(), Found: fmt.Sprintf("unknown %s %s", what, quote(name)),
		Allowed: allowed, Meant: Nearest(name, known)})
}

// wrongKind reports a node of another kind than is read here.
func (d *decoder) wrongKind(n *Node, at *place, allowed string) {
	found := n.Kind.String()
	if n.Kind == Scalar {
		found = quote(n.Text)
	}
	d.mistake(n, at, "found "+found, "allowed is "+allowed)
}

// text reads a scalar that is not empty.
func (d *decoder) text(n *Node, at *place, allowed string) (string, bool) {
	if n.Kind != Scalar || n.Text == "" {
		d.wrongKind(n, at, allowed)
		return "", false
	}
	return n.Text, true
}

// word reads one of a few words.
func (d *decoder) word(n *Node, at *place, words ...string) (string, bool) {
	if n.Kind == Scalar {
		for _, w := range words {
			if n.Text == w {
				return w, true
			}
		}
		d.report(Mistake{Line: n.Line, Column: n.Column, Field: at.String(), Found: "found " + quote(n.Text),
			Allowed: "allowed is " + strings.Join(words, ", "), Meant: Nearest(n.Text, words)})
		return "", false
	}
	d.wrongKind(n, at, strings.Join(words, ", "))
	return "", false
}

// number reads a whole number; 0 if it is none.
func (d *decoder) number(n *Node, at *place, least, most int64) int64 {
	if n.Kind == Scalar {
		if v, err := strconv.ParseInt(n.Text, 10, 64); err == nil && v >= least && v <= most {
			return v
		}
	}
	d.wrongKind(n, at, fmt.Sprintf("a whole number from %d to %d", least, most))
	return 0
}

// duration reads a span of time of Go's form; 0 if it is none.
func (d *decoder) duration(n *Node, at *place, least, most time.Duration) time.Duration {
	if n.Kind == Scalar {
		if v, err := time.ParseDuration(n.Text); err == nil && v >= least && v <= most {
			return v
		}
	}
	d.wrongKind(n, at, fmt.Sprintf("a span of time from %v to %v, such as 500ms or 1.5s", least, most))
	return 0
}

// each reads a list, or a single value as a list of one.
func (d *decoder) each(n *Node, at *place, most int, allowed string, read func(n *Node, at *place)) {
	switch {
	case n.Kind == Null:
		d.wrongKind(n, at, allowed)
	case n.Kind != List:
		read(n, at)
	case len(n.Items) == 0:
		d.mistake(n, at, "found an empty list", "allowed is "+allowed)
	case len(n.Items) > most:
		d.mistake(n.Items[most], at.index(most), fmt.Sprintf("found %d items", len(n.Items)), fmt.Sprintf("at most %d are allowed", most))
	default:
		for i, item := range n.Items {
			read(item, at.index(i))
		}
	}
}

// named reads a map from names to values of one sort.
func (d *decoder) named(n *Node, at *place, most int, allowed string, read func(f Field, at *place)) {
	if n.Kind != Map {
		d.wrongKind(n, at, allowed)
		return
	}
	if len(n.Fields) > most {
		f := n.Fields[most]
		d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.String(), Found: fmt.Sprintf("found %d entries", len(n.Fields)),
			Allowed: fmt.Sprintf("at most %d are allowed", most)})
		return
	}
	for _, f := range d.once(n, at) {
		read(f, at.field(f.Name))
	}
}
