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
	maxGroups   = 128
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

// deal is the groups that one call of the script decides: those of words, then those of runs.
type deal struct {
	words, runs []*group
	programs    []string
	numbers     map[string]byte // of the programs
}

// takes adds the group, if there is room for it.
func (d *deal) takes(g *group) bool {
	if len(d.words)+len(d.runs) >= maxGroups || len(d.programs)+len(g.steps) > maxPrograms {
		return false
	}
	for _, s := range g.steps {
		d.number(s.program)
	}
	if g.plan.kind == byRuns {
		d.runs = append(d.runs, g)
	} else {
		d.words = append(d.words, g)
	}
	return true
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

// call is the call of the script.
func (d *deal) call(clock string, all bool) *call {
	c := &call{script: decideScript}
	var steps []byte
	plain := true // each key, program 1, once
	for _, g := range d.words {
		c.keys = append(c.keys, g.key)
		steps = append(steps, byte(len(g.steps)))
		for _, s := range g.steps {
			steps = d.appendStep(steps, s)
		}
		plain = plain && len(g.steps) == 1 && len(g.steps[0].claims) == 1
	}
	for _, g := range d.runs {
		for _, s := range g.steps {
			c.keys = append(c.keys, g.key)
			steps = d.appendStep(append(steps, 1), s)
			plain = plain && len(s.claims) == 1
		}
	}
	if plain && len(d.programs) == 1 {
		steps = nil
	}
	mode := "m"
	if all {
		mode = "a"
	}
	c.args = append(make([]any, 0, 4+len(d.programs)), clock, mode, len(d.words), steps)
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
	granted bool
	states  string
}

// read reads the answer to the deal's call.
func (d *deal) read(c *call) (dealt, error) {
	list, err := c.list(4)
	if err != nil {
		return dealt{}, err
	}
	granted, ok1 := list[2].(int64)
	states, ok2 := list[3].(string)
	now, ok3 := instant(list[0], list[1])
	if !ok1 || !ok2 || !ok3 {
		return dealt{}, ErrAnswer
	}
	size := 0
	for _, g := range d.words {
		g.first = size
		size += 1 + g.plan.answerSize()
	}
	for _, g := range d.runs {
		g.first = size
		size += (1 + g.plan.answerSize()) * len(g.steps)
	}
	if len(states) != size {
		return dealt{}, ErrAnswer
	}
	return dealt{now, granted == 1, states}, nil
}

// instant is an instant out of seconds and their millionths, or whole where there are none.
func instant(seconds, millionths any) (int64, bool) {
	s, ok1 := seconds.(string)
	m, ok2 := millionths.(string)
	now, err := strconv.ParseInt(s, 10, 64)
	if !ok1 || !ok2 || err != nil || m == "" {
		return now, ok1 && ok2 && err == nil
	}
	micros, err := strconv.ParseInt(m, 10, 64)
	return now*1_000_000 + micros, err == nil && now >= 0 && now <= stint.MaxInstant/1_000_000+1 && micros >= 0 && micros < 1_000_000
}

// state is the key's state before step i of the group; false if the script left it to Go. Steps of words have one state, that of
// before them all.
func (a *dealt) state(g *group, i int) (stint.State, bool) {
	size := g.plan.answerSize()
	if g.plan.kind != byRuns {
		i = 0
	}
	said := []byte(a.states[g.first+i*(1+size):][:1+size])
	if said[0] != '+' {
		return stint.State{}, false
	}
	said = said[1:]
	if g.plan.kind == byRuns {
		return g.plan.runs(number(said), number(said[8:]), number(said[16:]), g.steps[i].op), true
	}
	s := stint.State{A: number(said[13:])}
	if g.plan.wide() {
		s.B, s.C = number(said[21:]), number(said[29:])
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
