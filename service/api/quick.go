package api

import "bytes"

// quick reads a body as most are: an object, or calls of objects, whose fields are a limit's id, a key of one part, a cost, and texts
// and truths that stand for themselves. It is false for all others, right or wrong, which encoding/json has to read; take is not to be
// looked at then. What it reads it reads as encoding/json does, which FuzzQuick holds it to, in a fifth of the time.
func quick(body []byte, take *wireTake) bool {
	q := quickReader{text: body}
	if !q.take(take) {
		return false
	}
	q.next()
	return q.at == len(q.text)
}

type quickReader struct {
	text []byte
	at   int
	id   string // of the limit that was read last: most calls of a batch name the same
	rest spare
}

// spare is memory for what calls point to, which is had for many calls at once.
type spare struct {
	limits []limitName
	parts  []string
	costs  []int64
	calls  int // that are expected
}

// more is for how many calls memory is had.
func (s *spare) more() int { return min(max(1, s.calls), 64) }

func (s *spare) limit() *limitName {
	if len(s.limits) == 0 {
		s.limits = make([]limitName, s.more())
	}
	one := &s.limits[0]
	s.limits = s.limits[1:]
	return one
}

func (s *spare) part(text string) keyParts {
	if len(s.parts) == 0 {
		s.parts = make([]string, s.more())
	}
	one := keyParts(s.parts[:1:1])
	one[0], s.parts = text, s.parts[1:]
	return one
}

func (s *spare) cost(n int64) *int64 {
	if len(s.costs) == 0 {
		s.costs = make([]int64, s.more())
	}
	one := &s.costs[0]
	*one, s.costs = n, s.costs[1:]
	return one
}

// next is the next byte that is no space; 0 at the end. It stays the next.
func (q *quickReader) next() byte {
	for ; q.at < len(q.text); q.at++ {
		switch c := q.text[q.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// is takes the byte if it is the next.
func (q *quickReader) is(c byte) bool {
	if q.next() != c {
		return false
	}
	q.at++
	return true
}

// string reads a string that stands for itself, see [plain]. It is lent.
func (q *quickReader) string() ([]byte, bool) {
	if q.next() != '"' {
		return nil, false
	}
	first := q.at + 1
	for at := first; at < len(q.text); at++ {
		switch c := q.text[at]; {
		case c == '"':
			q.at = at + 1
			return q.text[first:at], true
		case !stands(c):
			return nil, false
		}
	}
	return nil, false
}

// number reads a whole number of at most 15 digits.
func (q *quickReader) number() (n int64, ok bool) {
	q.next()
	first := q.at
	for ; q.at < len(q.text) && q.text[q.at] >= '0' && q.text[q.at] <= '9'; q.at++ {
		if q.at-first == 15 {
			return 0, false
		}
		n = n*10 + int64(q.text[q.at]-'0')
	}
	digits := q.at - first
	return n, digits == 1 || digits > 1 && q.text[first] != '0'
}

// truth reads true or false.
func (q *quickReader) truth() (value, ok bool) {
	q.next()
	for _, word := range []string{"true", "false"} {
		if len(q.text)-q.at >= len(word) && string(q.text[q.at:q.at+len(word)]) == word {
			q.at += len(word)
			return word == "true", true
		}
	}
	return false, false
}

// object reads an object, whose fields it hands to field, each once at the most: seen tells which were there.
func (q *quickReader) object(field func(name []byte) (bit uint8, ok bool)) bool {
	if !q.is('{') {
		return false
	}
	if q.is('}') {
		return true
	}
	for seen := uint8(0); ; {
		name, ok := q.string()
		if !ok || !q.is(':') {
			return false
		}
		bit, ok := field(name)
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if q.is('}') {
			return true
		}
		if !q.is(',') {
			return false
		}
	}
}

func (q *quickReader) take(t *wireTake) bool {
	return q.object(func(name []byte) (bit uint8, ok bool) {
		switch string(name) {
		case "calls":
			return 1 << 4, q.calls(t)
		case "dry_run":
			t.DryRun, ok = q.truth()
			return 1 << 5, ok
		case "receipt":
			t.Receipt, ok = q.truth()
			return 1 << 6, ok
		}
		return q.field(name, &t.wireClaim)
	})
}

func (q *quickReader) calls(t *wireTake) bool {
	if !q.is('[') || q.next() == ']' {
		return false
	}
	q.rest.calls = min(bytes.Count(q.text[q.at:], []byte{'{'}), MaxCalls) // whatever else has braces
	t.Calls = make([]wireCall, 0, q.rest.calls)
	for {
		t.Calls = append(t.Calls, wireCall{})
		c := &t.Calls[len(t.Calls)-1]
		if !q.object(func(name []byte) (uint8, bool) { return q.field(name, &c.wireClaim) }) {
			return false
		}
		if q.is(']') {
			return true
		}
		if !q.is(',') {
			return false
		}
	}
}

// field reads a field of a claim.
func (q *quickReader) field(name []byte, c *wireClaim) (bit uint8, ok bool) {
	switch string(name) {
	case "limit":
		id, ok := q.string()
		if q.id != string(id) {
			q.id = string(id)
		}
		c.Limit = q.rest.limit()
		c.Limit.ID = q.id
		return 1, ok
	case "key":
		key, ok := q.string()
		c.Key = q.rest.part(string(key)) // which is kept where it is counted, and must not keep its whole batch
		return 2, ok
	case "cost":
		n, ok := q.number()
		c.Cost = q.rest.cost(n)
		return 4, ok
	case "plan":
		plan, ok := q.string()
		c.Plan = string(plan)
		return 8, ok
	}
	return 0, false
}
