package redisstore

import (
	"encoding/binary"
	"strconv"

	"github.com/stint-go/stint"
)

// group is the claims of a call on one key, in order: alike ones that follow each other are one step.
type group struct {
	key   string
	plan  *plan
	steps []step
	byGo  bool // the script cannot do all of it
	first int  // the group's place in the states of the script's answer
}

// step is one operation, done for each of some claims.
type step struct {
	op      stint.Op
	program []byte
	claims  []int
}

// The bounds of one call of the script.
const (
	maxGroups   = 256
	maxSteps    = 255
	maxPrograms = 255
)

// add adds a claim to the group.
func (g *group) add(s *Store, op stint.Op, claim int) {
	if n := len(g.steps); n > 0 && g.steps[n-1].op == op && len(g.steps[n-1].claims) < 1<<16-1 {
		g.steps[n-1].claims = append(g.steps[n-1].claims, claim)
		return
	}
	program, ok := g.plan.program(op, s.guess)
	g.byGo = g.byGo || !ok || len(g.steps) == maxSteps
	g.steps = append(g.steps, step{op, program, []int{claim}})
}

// set is groups that the script decides together: calls that take of all groups or of none (see joint.go), or groups each for itself.
type set struct {
	words, runs []*group
	calls       *joint // nil: each group for itself
}

// deal is the sets that one call of the script decides, one after the other.
type deal struct {
	sets     []*set
	groups   int
	programs []string
	numbers  map[string]byte // of the programs
	touched  map[string]*set // by a key, the last of its sets of calls
}

// has says whether there is room for the groups.
func (d *deal) has(groups ...*group) bool {
	steps := 0
	for _, g := range groups {
		steps += len(g.steps)
	}
	return d.groups+len(groups) <= maxGroups && len(d.programs)+steps <= maxPrograms
}

// add adds groups to the set, which is one of the deal's.
func (d *deal) add(to *set, groups ...*group) {
	for _, g := range groups {
		for _, s := range g.steps {
			d.number(s.program)
		}
		if g.plan.kind == byRuns {
			to.runs = append(to.runs, g)
		} else {
			to.words = append(to.words, g)
		}
	}
	d.groups += len(groups)
}

// number is the number of a program, from 1.
func (d *deal) number(program []byte) byte {
	if n, known := d.numbers[string(program)]; known {
		return n
	}
	if d.numbers == nil {
		d.numbers = make(map[string]byte)
	}
	d.programs = append(d.programs, string(program))
	d.numbers[string(program)] = byte(len(d.programs))
	return byte(len(d.programs))
}

// The modes of the script.
const (
	eachForItself = "m"
	allOrNone     = "a"
)

// call is the call of the script.
func (d *deal) call(clock, mode string) *call {
	c := &call{script: decideScript}
	var sizes, steps []byte
	plain := len(d.programs) == 1 // each key, program 1, once
	for _, x := range d.sets {
		first := len(c.keys) + len(x.words)
		for _, g := range x.words {
			c.keys = append(c.keys, g.key)
			steps = append(steps, byte(len(g.steps)))
			for _, s := range g.steps {
				steps = d.appendStep(steps, s)
			}
			plain = plain && len(g.steps) == 1 && len(g.steps[0].claims) == 1
		}
		for _, g := range x.runs {
			for _, s := range g.steps {
				c.keys = append(c.keys, g.key)
				steps = d.appendStep(append(steps, 1), s)
				plain = plain && len(s.claims) == 1
			}
		}
		sizes = binary.BigEndian.AppendUint16(sizes, uint16(len(x.words)))
		sizes = binary.BigEndian.AppendUint16(sizes, uint16(len(c.keys)-first))
	}
	if plain {
		steps = nil
	}
	c.args = append(make([]any, 0, 4+len(d.programs)), clock, mode, sizes, steps)
	for _, program := range d.programs {
		c.args = append(c.args, program)
	}
	return c
}

func (d *deal) appendStep(to []byte, s step) []byte {
	return binary.BigEndian.AppendUint16(append(to, d.number(s.program)), uint16(len(s.claims)))
}

// dealt is what the script answered.
type dealt struct {
	now     int64
	granted string // how many calls of each set
	states  string
}

// read reads the answer to the deal's call.
func (d *deal) read(c *call) (dealt, error) {
	size, verdicts := 0, 0
	for _, x := range d.sets {
		for _, g := range x.words {
			g.first = size
			size += 1 + g.plan.answerSize()
		}
		for _, g := range x.runs {
			g.first = size
			size += (1 + g.plan.answerSize()) * len(g.steps)
		}
		if x.calls != nil {
			verdicts++
		}
	}
	a, err := readDealt(c, size, verdicts)
	if err == nil && verdicts > 0 {
		for i, x := range d.sets {
			x.calls.granted = int(a.granted[2*i])<<8 | int(a.granted[2*i+1])
		}
	}
	return a, err
}

// readDealt reads an answer with states of that size, and so many verdicts.
func readDealt(c *call, size, verdicts int) (dealt, error) {
	list, err := c.list(4)
	if err != nil {
		return dealt{}, err
	}
	granted, ok1 := list[2].(string)
	states, ok2 := list[3].(string)
	seconds, ok3 := list[0].(string)
	millionths, ok4 := list[1].(string)
	now, ok5 := instant(seconds, millionths)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || len(granted) != 2*verdicts || len(states) != size {
		return dealt{}, ErrAnswer
	}
	return dealt{now, granted, states}, nil
}

// instant is an instant out of seconds and their millionths, or whole where there are none.
func instant(seconds, millionths string) (int64, bool) {
	now, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || millionths == "" {
		return now, err == nil
	}
	micros, err := strconv.ParseInt(millionths, 10, 64)
	return now*1_000_000 + micros, err == nil && now >= 0 && now <= stint.MaxInstant/1_000_000+1 && micros >= 0 && micros < 1_000_000
}

// stateOf is the key's state before step i of the group; false if the script left it to Go. Steps of words have one state, that of
// before them all.
func (a *dealt) stateOf(g *group, i int) (stint.State, bool) {
	if g.plan.kind != byRuns {
		return a.state(g.plan, g.first, stint.Op{})
	}
	return a.state(g.plan, g.first+i*(1+g.plan.answerSize()), g.steps[i].op)
}

// state is a key's state before an operation, which is said from first on; false if the script left it to Go.
func (a *dealt) state(p *plan, first int, op stint.Op) (stint.State, bool) {
	said := a.states[first:][:1+p.answerSize()]
	if said[0] != '+' {
		return stint.State{}, false
	}
	word := func(at int) int64 { return number([]byte(said[1+at : 9+at])) }
	if p.kind == byRuns {
		return p.runs(word(0), word(8), word(16), op), true
	}
	s := stint.State{A: word(13)}
	if p.wide() {
		s.B, s.C = word(21), word(29)
	}
	return s, true
}

// runs is a state that answers the operation as the key's own does, of which is known: until when it counts, how many units, and
// the instant of the run that the operation has to wait for, if it has to.
func (p *plan) runs(until, sum, waits int64, op stint.Op) stint.State {
	if sum == 0 {
		return p.limit.Lend(stint.State{}, op)
	}
	newest := until - p.n.Ticks
	pairs := []stint.Pair{{At: newest}}
	if waits != 0 && waits < newest && sum > 1 {
		// It is in an older run. How the units before the newest run are spread does not matter.
		pairs = []stint.Pair{{At: waits}, {At: newest, Units: sum - 1}}
	}
	return p.limit.Lend(stint.State{A: until << fractionBits, B: sum, C: int64(len(pairs)), Log: stint.CellsOf(pairs)}, op)
}
