package httplimit

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// The few parts of Structured Field Values (RFC 9651) that rate limit fields use: lists of items with parameters, and flat
// dictionaries. Every kind of value is read, since a field may carry any as a comment; what does not read is malformed, and a
// malformed field is ignored whole.

// maxInteger is the largest integer of a structured field: 15 digits.
const maxInteger = 999_999_999_999_999

// maxField bounds how much of a field is read; a longer one is malformed.
const maxField = 8 << 10

// quotedString is a String; what is not printable ASCII must have been taken out before, see [PolicyName].
func quotedString(s string) string {
	quoted := []byte{'"'}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, s[i])
	}
	return string(append(quoted, '"'))
}

// appendInteger appends an Integer, held to the range of the format.
func appendInteger(dst []byte, n int64) []byte {
	return strconv.AppendInt(dst, min(max(n, -maxInteger), maxInteger), 10)
}

// appendBytes appends a Byte Sequence.
func appendBytes(dst, value []byte) []byte {
	dst = append(dst, ':')
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, ':')
}

// bareItem is one value.
type bareItem struct {
	kind    itemKind
	text    string // of a string, a token, a byte sequence, a display string; the digits of a decimal
	integer int64  // of an integer, a date; 1 for true
}

type itemKind uint8

const (
	integerItem itemKind = iota + 1
	decimalItem
	stringItem
	tokenItem
	bytesItem
	booleanItem
	dateItem
	displayItem
)

// member is an item of a list or a dictionary, with its parameters. The last of equal names holds.
type member struct {
	name string // in a dictionary
	bareItem
	parameters []parameter
}

type parameter struct {
	name string
	bareItem
}

// parameter is the parameter of that name; its kind is 0 if there is none.
func (m *member) parameter(name string) bareItem {
	for i := len(m.parameters) - 1; i >= 0; i-- {
		if m.parameters[i].name == name {
			return m.parameters[i].bareItem
		}
	}
	return bareItem{}
}

// parseList reads a list of items, whose lines are joined by the caller.
func parseList(text string) ([]member, bool) { return parseMembers(text, false) }

// parseDictionary reads a dictionary of items.
func parseDictionary(text string) ([]member, bool) { return parseMembers(text, true) }

func parseMembers(text string, named bool) ([]member, bool) {
	if len(text) > maxField {
		return nil, false
	}
	p := parser{text: text}
	p.skip(" ")
	var members []member
	for !p.done() {
		var m member
		if !p.member(&m, named) || !p.parameters(&m) {
			return nil, false
		}
		members = append(members, m)
		p.skip(" \t")
		if p.done() {
			return members, true
		}
		if !p.eat(',') {
			return nil, false
		}
		p.skip(" \t")
		if p.done() {
			return nil, false // a comma with nothing behind it
		}
	}
	return members, true
}

// parser reads a field from left to right.
type parser struct {
	text string
	at   int
}

func (p *parser) done() bool { return p.at >= len(p.text) }

// peek is the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.done() {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) eat(c byte) bool {
	if p.done() || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) skip(set string) {
	for !p.done() && strings.IndexByte(set, p.text[p.at]) >= 0 {
		p.at++
	}
}

// take is the longest run of bytes that are in the set.
func (p *parser) take(in func(byte) bool) string {
	start := p.at
	for !p.done() && in(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

// member reads an item, or a key with one.
func (p *parser) member(m *member, named bool) (ok bool) {
	if named {
		m.name, m.bareItem, ok = p.keyed()
	} else {
		m.bareItem, ok = p.item()
	}
	return ok
}

func (p *parser) parameters(m *member) bool {
	for p.eat(';') {
		p.skip(" ")
		name, value, ok := p.keyed()
		if !ok {
			return false
		}
		m.parameters = append(m.parameters, parameter{name, value})
	}
	return true
}

// keyed reads a key and its value, which is true if none is said.
func (p *parser) keyed() (string, bareItem, bool) {
	name, ok := p.key()
	if !ok || !p.eat('=') {
		return name, bareItem{kind: booleanItem, integer: 1}, ok
	}
	value, ok := p.item()
	return name, value, ok
}

func (p *parser) key() (string, bool) {
	if c := p.peek(); c != '*' && !isLower(c) {
		return "", false
	}
	return p.take(func(c byte) bool {
		return isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'
	}), true
}

func (p *parser) item() (bareItem, bool) {
	switch c := p.peek(); {
	case c == '"':
		text, ok := p.quoted()
		return bareItem{kind: stringItem, text: text}, ok
	case c == '-' || isDigit(c):
		return p.number()
	case c == '*' || isLetter(c):
		return bareItem{kind: tokenItem, text: p.take(func(c byte) bool {
			return isLetter(c) || isDigit(c) || strings.IndexByte(":/!#$%&'*+-.^_`|~", c) >= 0
		})}, true
	case c == ':':
		return p.bytes()
	case c == '?':
		p.at++
		if p.eat('1') {
			return bareItem{kind: booleanItem, integer: 1}, true
		}
		return bareItem{kind: booleanItem}, p.eat('0')
	case c == '@':
		p.at++
		date, ok := p.number()
		ok = ok && date.kind == integerItem
		date.kind = dateItem
		return date, ok
	case c == '%':
		return p.display()
	}
	return bareItem{}, false
}

func (p *parser) quoted() (string, bool) {
	p.at++
	var unescaped []byte
	for !p.done() {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return string(unescaped), true
		case c == '\\':
			if c = p.peek(); c != '"' && c != '\\' {
				return "", false
			}
			p.at++
		case c < 0x20 || c > 0x7e:
			return "", false
		}
		unescaped = append(unescaped, c)
	}
	return "", false
}

func (p *parser) number() (bareItem, bool) {
	start := p.at
	p.eat('-')
	whole := p.take(isDigit)
	if p.eat('.') {
		fraction := p.take(isDigit)
		ok := len(whole) >= 1 && len(whole) <= 12 && len(fraction) >= 1 && len(fraction) <= 3
		return bareItem{kind: decimalItem, text: p.text[start:p.at]}, ok
	}
	if len(whole) < 1 || len(whole) > 15 {
		return bareItem{}, false
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
	return bareItem{kind: integerItem, integer: n}, err == nil
}

func (p *parser) bytes() (bareItem, bool) {
	p.at++
	encoded := p.take(func(c byte) bool { return c != ':' && c != '\r' && c != '\n' })
	if !p.eat(':') {
		return bareItem{}, false
	}
	// Parsers should take base64 without its padding, too.
	value, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	return bareItem{kind: bytesItem, text: string(value)}, err == nil
}

// display reads past a Display String: no field here has a use for its text.
func (p *parser) display() (bareItem, bool) {
	p.at++
	if !p.eat('"') {
		return bareItem{}, false
	}
	start := p.at
	for !p.done() {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return bareItem{kind: displayItem, text: p.text[start : p.at-1]}, true
		case c == '%':
			if len(p.text)-p.at < 2 || !isLowerHex(p.text[p.at]) || !isLowerHex(p.text[p.at+1]) {
				return bareItem{}, false
			}
			p.at += 2
		case c < 0x20 || c > 0x7e:
			return bareItem{}, false
		}
	}
	return bareItem{}, false
}

func isLower(c byte) bool    { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isLetter(c byte) bool   { return isLower(c) || c >= 'A' && c <= 'Z' }
func isLowerHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' }
