package redisstore

import (
	"context"
	"strings"

	"github.com/stint-go/stint"
)

// One implements [stint.Store]: one call of the script.
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	if err := s.begin(ctx, l); err != nil {
		return stint.Answer{}, 0, err
	}
	p := s.plan(l)
	if o, done := s.single(ctx, p, key, op); done {
		return o.Answer, o.Mark, o.Err
	}
	g := &group{key: recordKey(l.ID, key), plan: p}
	g.add(s, op, 0)
	var into [1]stint.Outcome
	s.byGo(ctx, g, into[:])
	return into[0].Answer, into[0].Mark, into[0].Err
}

// single has a script do one operation on one key; done is false if only Go can do it.
func (s *Store) single(ctx context.Context, p *plan, key string, op stint.Op) (o stint.Outcome, done bool) {
	program, ok := p.known(op, s.guess)
	if !ok {
		return o, false
	}
	c := &call{keys: []string{recordKey(p.limit.ID, key)}}
	read := readTaken
	switch {
	case p.plainTake(program):
		c.script, c.args = takeScript, []any{s.clock(), program}
	case p.kind == byRuns:
		c.script, c.args, read = decideScript, []any{s.clock(), eachForItself, oneOfRuns, "", program}, p.readOne
	default:
		c.script, c.args, read = decideScript, []any{s.clock(), eachForItself, oneOfWords, "", program}, p.readOne
	}
	s.link.run(ctx, c)
	a, err := read(c)
	if err != nil {
		return stint.Outcome{Err: err}, true
	}
	state, ok := a.state(p, 0, op)
	if !ok {
		return o, false
	}
	s.stats.byScript.Add(1)
	_, o.Answer = p.limit.Strategy.Apply(state, p.limit, a.now, op)
	o.Mark = stint.NewMark(a.now)
	return o, true
}

// The sizes of a set of one key.
const (
	oneOfWords = "\x00\x01\x00\x00"
	oneOfRuns  = "\x00\x00\x00\x01"
)

// plainTake says whether take.lua does the program.
func (p *plan) plainTake(program string) bool {
	return (p.kind == byBucket || p.kind == byPacing) && program[1] == take
}

// readOne reads an answer of decide.lua about one key.
func (p *plan) readOne(c *call) (dealt, error) { return readDealt(c, 1+p.answerSize(), 0) }

// readTaken reads an answer of take.lua.
func readTaken(c *call) (dealt, error) {
	text, err := c.text()
	if err != nil {
		return dealt{}, err
	}
	if len(text) < 1+wordSize {
		return dealt{}, ErrAnswer
	}
	seconds, millionths, two := strings.Cut(text[1+wordSize:], " ")
	now, ok := instant(seconds, millionths)
	if !ok || !two {
		return dealt{}, ErrAnswer
	}
	return dealt{now: now, states: text[:1+wordSize]}, nil
}
