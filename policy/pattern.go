package policy

import (
	"fmt"
	"strings"
)

// Pattern is a pattern of paths. It is compared with a path segment by segment, between slashes:
//
//	/users            that path and no other: not /users/ and not /users/x
//	/users/*          one segment that is not empty
//	/img/*.png        a star inside a segment stands for any characters of it
//	/users/{id}       one segment that is not empty, under a name: keys can count by it
//	/api/**           /api itself and everything below it
//	/**/edit          any number of segments, none as well
//
// Patterns are anchored at both ends and tell upper from lower case. The zero Pattern matches every path.
type Pattern struct {
	text     string
	segments []segment
}

type segment struct {
	kind segmentKind
	text string // of a literal, a glob, or a name
}

type segmentKind uint8

const (
	literal segmentKind = iota
	glob
	value // {name}
	rest  // **
)

// Bounds on a pattern. With them a comparison takes at most maxSegments steps for each segment of the path.
const (
	maxPattern  = 1024
	maxSegments = 32
)

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	if !strings.HasPrefix(text, "/") {
		return Pattern{}, fmt.Errorf("a path begins with /")
	}
	if len(text) > maxPattern {
		return Pattern{}, fmt.Errorf("a path has at most %d bytes", maxPattern)
	}
	p := Pattern{text: text}
	for part := range strings.SplitSeq(text[1:], "/") {
		s, err := parseSegment(part)
		if err != nil {
			return Pattern{}, err
		}
		if s.kind == value && p.has(s.text) {
			return Pattern{}, fmt.Errorf("the name {%s} stands twice; give each its own", s.text)
		}
		if s.kind == rest && len(p.segments) > 0 && p.segments[len(p.segments)-1].kind == rest {
			continue
		}
		p.segments = append(p.segments, s)
	}
	if len(p.segments) > maxSegments {
		return Pattern{}, fmt.Errorf("a path has at most %d segments", maxSegments)
	}
	return p, nil
}

func parseSegment(part string) (segment, error) {
	if part == "**" {
		return segment{kind: rest}, nil
	}
	if strings.ContainsAny(part, "{}") {
		name, ok := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		if !ok || !closed || !isName(name) {
			return segment{}, fmt.Errorf("%q is no name: write {name} as a whole segment, of letters, digits, - and _", part)
		}
		return segment{value, name}, nil
	}
	if strings.Contains(part, "**") {
		return segment{}, fmt.Errorf("%q: ** is a whole segment, as in /a/**; inside one use *", part)
	}
	if part == "." || part == ".." {
		return segment{}, fmt.Errorf("%q never stands in a path: paths are cleaned before they are compared", part)
	}
	if strings.ContainsAny(part, "?#") {
		return segment{}, fmt.Errorf("%q: a path has no ? and no #; compare the query with query", part)
	}
	if strings.Contains(part, "*") {
		return segment{glob, part}, nil
	}
	return segment{literal, part}, nil
}

// isName says whether a text can name something: a value in a path, a limit, a plan, a route.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Names are the names of the values that the pattern takes out of a path.
func (p Pattern) Names() []string {
	var names []string
	for _, s := range p.segments {
		if s.kind == value {
			names = append(names, s.text)
		}
	}
	return names
}

func (p Pattern) has(name string) bool {
	for _, s := range p.segments {
		if s.kind == value && s.text == name {
			return true
		}
	}
	return false
}

// Match says whether the pattern matches the path.
func (p Pattern) Match(path string) bool {
	_, ok := p.match(path, "")
	return ok
}

// Value is what the {name} in the pattern matched in the path; false if there is no such name, or no match.
func (p Pattern) Value(path, name string) (string, bool) {
	if !p.has(name) {
		return "", false
	}
	return p.match(path, name)
}

// match compares, and takes out the value of that name. ** matches as little as it can; when the rest fails, only the last **
// is tried with one segment more, since an earlier one could not do better. So the time is bounded by the product of both
// lengths.
func (p Pattern) match(path, name string) (found string, ok bool) {
	if p.text == "" {
		return "", true
	}
	path = strings.TrimPrefix(path, "/")
	at, left, more := 0, path, true // the segments still to come: left, if there are more
	star, starLeft, starMore := -1, "", false
	for {
		if at == len(p.segments) && !more {
			return found, true
		}
		if at < len(p.segments) && p.segments[at].kind == rest {
			if at == len(p.segments)-1 {
				return found, true
			}
			star, starLeft, starMore = at, left, more
			at++
			continue
		}
		if at < len(p.segments) && more {
			part, after, further := strings.Cut(left, "/")
			if s := &p.segments[at]; s.matches(part) {
				if s.kind == value && s.text == name {
					found = part
				}
				at, left, more = at+1, after, further
				continue
			}
		}
		if star < 0 || !starMore {
			return "", false
		}
		_, starLeft, starMore = strings.Cut(starLeft, "/")
		at, left, more = star+1, starLeft, starMore
	}
}

func (s *segment) matches(part string) bool {
	switch s.kind {
	case literal:
		return part == s.text
	case value:
		return part != ""
	default:
		return part != "" && globMatch(s.text, part)
	}
}

// globMatch says whether the text is the pattern, of which each * stands for any characters.
func globMatch(pattern, text string) bool {
	at, i := 0, 0
	star, from := -1, 0
	for i < len(text) || at < len(pattern) {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, from = at, i
			at++
		case at < len(pattern) && i < len(text) && pattern[at] == text[i]:
			at, i = at+1, i+1
		case star >= 0 && from < len(text):
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	return true
}

// covers says whether every path that other matches is matched by p, too. It may say no where that is hard to tell.
func (p Pattern) covers(other Pattern) bool {
	if p.text == "" || p.text == other.text {
		return true
	}
	if other.text == "" {
		return len(p.segments) == 1 && p.segments[0].kind == rest
	}
	return coversSegments(p.segments, other.segments)
}

func coversSegments(p, other []segment) bool {
	for i, s := range p {
		if s.kind == rest {
			// Only a ** at the end is judged: it covers whatever is left.
			return i == len(p)-1
		}
		if i == len(other) || !s.covers(&other[i]) {
			return false
		}
	}
	return len(p) == len(other)
}

func (s *segment) covers(other *segment) bool {
	switch {
	case other.kind == rest:
		return false
	case s.kind == literal:
		return other.kind == literal && s.text == other.text
	case s.kind == value || s.text == "*":
		return other.kind != literal || other.text != ""
	case other.kind == literal:
		return other.text != "" && globMatch(s.text, other.text)
	default:
		return other.kind == glob && s.text == other.text
	}
}
