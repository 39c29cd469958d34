package api

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

// string reads a string that stands for itself.
func (q *quickReader) string() (string, bool) {
	if q.next() != '"' {
		return "", false
	}
	first := q.at
	for q.at++; q.at < len(q.text); q.at++ {
		if q.text[q.at] == '"' {
			q.at++
			return plain(q.text[first:q.at])
		}
	}
	return "", false
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
func (q *quickReader) object(field func(name string) (bit uint8, ok bool)) bool {
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
	return q.object(func(name string) (bit uint8, ok bool) {
		switch name {
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
	for {
		var c wireCall
		if !q.object(func(name string) (uint8, bool) { return q.field(name, &c.wireClaim) }) {
			return false
		}
		t.Calls = append(t.Calls, c)
		if q.is(']') {
			return true
		}
		if !q.is(',') {
			return false
		}
	}
}

// field reads a field of a claim.
func (q *quickReader) field(name string, c *wireClaim) (bit uint8, ok bool) {
	switch name {
	case "limit":
		c.Limit = new(limitName)
		c.Limit.ID, ok = q.string()
		return 1, ok
	case "key":
		var key string
		key, ok = q.string()
		c.Key = keyParts{key}
		return 2, ok
	case "cost":
		c.Cost = new(int64)
		*c.Cost, ok = q.number()
		return 4, ok
	case "plan":
		c.Plan, ok = q.string()
		return 8, ok
	}
	return 0, false
}
