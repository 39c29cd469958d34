package redisstore

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/stint-go/stint"
)

// The kinds of arithmetic that decide.lua knows.
const (
	byGo byte = iota // none: Go decides, and the record is compared and set
	byBucket
	byPacing
	byFixedWindow
	byCounter
	byInterval
	byCalendar
	byRuns
)

// The modes of a step in decide.lua.
const (
	take byte = iota
	charge
	look
	never // what can never be granted
	upTo  // of a bucket, which divides for it
)

// exact is a bound below which doubles, Lua's only numbers, add exactly.
const exact = int64(1) << 52

// maxFill is the longest time to full of a bucket of one word, in ticks.
const maxFill = int64(1) << 50

// bigRuns is the number of cells above which runs are read in parts.
const bigRuns = 64

// plan is what the script needs to know of a limit.
type plan struct {
	limit  *stint.Limit
	kind   byte
	n      stint.Numbers
	head   string // what a record that the script can read begins with
	around atomic.Pointer[[4]int64]
	last   atomic.Pointer[known] // the operation that came last
}

// known is an operation and its program.
type known struct {
	op      stint.Op
	program string
}

func newPlan(l *stint.Limit) *plan {
	p := &plan{limit: l, n: l.Numbers()}
	fits := p.n.Capacity < exact
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		p.is(byBucket, !p.n.Wide)
	case stint.Pacing:
		p.is(byPacing, !p.n.Wide)
	case stint.FixedWindow:
		p.is(byFixedWindow, fits)
	case stint.SlidingCounter:
		p.is(byCounter, fits && !p.n.Wide && p.n.Ticks < 1<<41)
	case stint.IntervalBucket:
		p.is(byInterval, fits && l.Units < exact)
	case stint.CalendarWindow:
		p.is(byCalendar, fits)
	case stint.SlidingLog, stint.Concurrency:
		p.is(byRuns, fits)
	}
	format := formatWords
	if p.kind == byRuns {
		format = formatRuns
	}
	p.head = string(binary.BigEndian.AppendUint64([]byte{format}, l.Variant()))
	return p
}

func (p *plan) is(kind byte, transcribed bool) {
	if transcribed {
		p.kind = kind
	}
}

// wide says that the record of words has three of them.
func (p *plan) wide() bool { return p.kind == byInterval || p.kind == byCalendar }

// answerSize is the length of what the script says of a key.
func (p *plan) answerSize() int {
	switch {
	case p.kind == byRuns:
		return 24
	case p.wide():
		return wideSize
	}
	return wordSize
}

// program is the operation as the script takes it; false if only Go can do it. guess is about the time: by it the
// calendar's windows are sent of which the server's clock chooses.
func (p *plan) program(op stint.Op, guess func() int64) ([]byte, bool) {
	mode, least, most := take, op.Min, op.Max
	switch op.Kind() {
	case stint.Look:
		mode, most = look, least
	case stint.Grant:
		most = min(most, p.n.Capacity)
	case stint.Charge:
		mode, least = charge, most
	default:
		return nil, false
	}
	if p.kind == byGo || least < 1 || most >= exact && p.kind != byBucket {
		return nil, false
	}
	if mode != charge && least > p.n.Capacity || mode == charge && p.n.Capacity == 0 && p.kind != byBucket {
		mode, least, most = never, 0, 0
	}
	var numbers [6]int64
	ok := true
	switch {
	case mode == never:
	case p.kind == byBucket:
		numbers, ok = p.bucket(&mode, least, most, op.Wait)
	case p.kind == byPacing:
		numbers, ok = p.pacing(mode, most, op.Wait)
	case p.kind == byCalendar:
		around := p.windows(guess())
		numbers = [6]int64{around[0], p.n.Capacity, exact, around[1], around[2], around[3]}
	case p.kind == byRuns:
		numbers = [6]int64{p.n.Ticks, p.n.Capacity, p.n.Grain, int64(p.limit.Words()), 0}
		if p.limit.Words() > bigRuns {
			numbers[4] = 1
		}
	default:
		numbers = [6]int64{p.n.Ticks, p.n.Capacity, min(p.n.Most, exact), max(p.n.Radix, 1)}
		if p.kind == byInterval {
			numbers[3] = p.limit.Units
		}
	}
	if p.kind == byRuns && mode == never {
		numbers = [6]int64{p.n.Ticks, p.n.Capacity, p.n.Grain, int64(p.limit.Words()), 1}
	}
	b := append(append(make([]byte, 0, programSize), p.kind, mode), p.head...)
	b = appendNumber(appendNumber(b, min(least, exact)), min(most, exact))
	for _, n := range numbers {
		b = appendNumber(b, n)
	}
	return b, ok
}

// known is the program, remembered from the last time.
func (p *plan) known(op stint.Op, guess func() int64) (string, bool) {
	if k := p.last.Load(); k != nil && k.op == op {
		return k.program, true
	}
	program, ok := p.program(op, guess)
	if !ok {
		return "", false
	}
	k := &known{op, string(program)}
	if p.kind != byCalendar { // whose programs name windows
		p.last.Store(k)
	}
	return k.program, true
}

// bucket are the numbers of a token bucket: every sum of parts is a pair, whole ticks and the rest.
func (p *plan) bucket(mode *byte, least, most, wait int64) (numbers [6]int64, ok bool) {
	ticks, rest, ok := p.cost(most)
	if *mode != charge && least < most {
		*mode = upTo
		return [6]int64{p.n.P, p.n.Q, p.n.Full}, ok && p.n.Full < exact && wait == 0
	}
	room := min(max(wait, 0), maxFill)
	return [6]int64{p.n.P, ticks, rest, p.n.Full/p.n.P + room, p.n.Full % p.n.P}, ok
}

// pacing are the numbers of pacing: what a call costs, and how long it is willing to wait.
func (p *plan) pacing(mode byte, most, wait int64) (numbers [6]int64, ok bool) {
	ticks, rest, ok := p.cost(most)
	patience := min(wait, maxFill)
	if mode == look {
		patience = 0
	}
	if patience > 0 {
		patience = min(patience, maxFill-(p.n.Full+p.n.P-1)/p.n.P)
	}
	return [6]int64{p.n.P, ticks, rest, patience}, ok
}

// cost is n units in ticks and parts of a tick; false if they are more than a bucket of one word can owe.
func (p *plan) cost(n int64) (ticks, rest int64, ok bool) {
	hi, lo := bits.Mul64(uint64(n), uint64(p.n.Q))
	if hi != 0 || lo > 1<<60 {
		return 0, 0, false
	}
	return int64(lo) / p.n.P, int64(lo) % p.n.P, true
}

// windows are the boundaries of the calendar window that an instant is in, and of its neighbours.
func (p *plan) windows(at int64) *[4]int64 {
	if w := p.around.Load(); w != nil && w[1] <= at && at < w[2] {
		return w
	}
	c, ok := p.limit.Strategy.(stint.CalendarWindow)
	if !ok {
		return new([4]int64)
	}
	start, end := c.Window(at)
	before, _ := c.Window(start - 1)
	_, after := c.Window(end)
	w := &[4]int64{before, start, end, after}
	p.around.Store(w)
	return w
}

// programSize is the length of a program.
const programSize = 2 + headSize + 8*7

// appendNumber appends a number below 2^56 in seven bytes.
func appendNumber(to []byte, n int64) []byte {
	return append(to, byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
