package policy

// index finds the first route that fits a call without looking at all of them. It is a tree of path segments for each host: a
// path goes down by its own text and by "any segment", and at each node collects the routes whose pattern ends there or goes
// on with **. That is never too few routes, sometimes too many; the route's Match has the last word.
type index struct {
	nodes []node
	edges map[edge]int32
	hosts map[string]int32 // roots of the routes that name one host; all others are under root 0
}

type edge struct {
	from    int32
	segment string
}

// node lists routes by number, in order.
type node struct {
	any   int32   // the child of patterns with *, {name} or a star inside the segment; 0 if there is none
	ends  []int32 // patterns that end here
	rests []int32 // patterns that go on with **
	least int32   // the first route in this node or below
}

func newIndex() *index {
	return &index{nodes: []node{{least: -1}}, edges: map[edge]int32{}, hosts: map[string]int32{}}
}

// add puts in the route with the next number.
func (x *index) add(number int, m *Match) {
	n, route := int32(0), int32(number)
	if oneHost(m.Host) {
		root, ok := x.hosts[m.Host]
		if !ok {
			root = x.grow(route)
			x.hosts[m.Host] = root
		}
		n = root
	}
	segments := m.Path.segments
	if m.Path.text == "" {
		segments = []segment{{kind: rest}}
	}
	for _, s := range segments {
		if s.kind == rest {
			x.nodes[n].rests = append(x.nodes[n].rests, route)
			return
		}
		n = x.child(n, s, route)
	}
	x.nodes[n].ends = append(x.nodes[n].ends, route)
}

func oneHost(host string) bool { return host != "" && host[0] != '*' }

func (x *index) grow(least int32) int32 {
	x.nodes = append(x.nodes, node{least: least})
	return int32(len(x.nodes) - 1)
}

func (x *index) child(n int32, s segment, route int32) int32 {
	if s.kind != literal {
		if x.nodes[n].any == 0 {
			child := x.grow(route)
			x.nodes[n].any = child
		}
		return x.nodes[n].any
	}
	e := edge{n, s.text}
	child, ok := x.edges[e]
	if !ok {
		child = x.grow(route)
		x.edges[e] = child
	}
	return child
}

// search is the look for the first route that fits one call.
type search struct {
	*index
	routes []*Route
	call   Call
	best   int32
}

// find is the first route that fits; nil if none does.
func (x *index) find(routes []*Route, c Call) *Route {
	s := search{x, routes, c, int32(len(routes))}
	path := segmentsOf(c.Path())
	s.walk(0, path)
	if len(x.hosts) > 0 {
		if root, ok := x.hosts[c.Host()]; ok {
			s.walk(root, path)
		}
	}
	if int(s.best) == len(routes) {
		return nil
	}
	return routes[s.best]
}

// walk looks at a node and below it for a route before the best one so far.
func (s *search) walk(n int32, left segments) {
	node := &s.nodes[n]
	if node.least >= s.best {
		return
	}
	s.look(node.rests)
	part, after, more := left.next()
	if !more {
		s.look(node.ends)
		return
	}
	if child, ok := s.edges[edge{n, part}]; ok {
		s.walk(child, after)
	}
	if node.any != 0 {
		s.walk(node.any, after)
	}
}

func (s *search) look(routes []int32) {
	for _, i := range routes {
		if i >= s.best {
			return
		}
		if s.routes[i].Match.Fits(s.call) {
			s.best = i
			return
		}
	}
}

// segments are those of a path that are still to come.
type segments struct {
	left string
	more bool
}

func segmentsOf(path string) segments {
	if path != "" && path[0] == '/' {
		path = path[1:]
	}
	return segments{path, true}
}

func (s segments) next() (part string, after segments, ok bool) {
	if !s.more {
		return "", s, false
	}
	for i := range len(s.left) {
		if s.left[i] == '/' {
			return s.left[:i], segments{s.left[i+1:], true}, true
		}
	}
	return s.left, segments{}, true
}

// coverer is an earlier route that fits every call that m fits; -1 if none is found. It compares at most budget routes, and
// takes them off it.
func (x *index) coverer(routes []*Route, m *Match, budget *int) int {
	left := m.Path.segments
	if m.Path.text == "" {
		left = []segment{{kind: rest}}
	}
	covering := func(candidates []int32) int {
		for _, i := range candidates {
			if *budget--; *budget < 0 {
				return -1
			}
			if routes[i].Match.covers(m) {
				return int(i)
			}
		}
		return -1
	}
	var walk func(n int32, left []segment) int
	walk = func(n int32, left []segment) int {
		if i := covering(x.nodes[n].rests); i >= 0 {
			return i
		}
		if len(left) == 0 {
			return covering(x.nodes[n].ends)
		}
		if left[0].kind == rest {
			return -1
		}
		if left[0].kind == literal {
			if child, ok := x.edges[edge{n, left[0].text}]; ok {
				if i := walk(child, left[1:]); i >= 0 {
					return i
				}
			}
		}
		if child := x.nodes[n].any; child != 0 {
			return walk(child, left[1:])
		}
		return -1
	}
	if i := walk(0, left); i >= 0 {
		return i
	}
	if root, ok := x.hosts[m.Host]; ok {
		return walk(root, left)
	}
	return -1
}
