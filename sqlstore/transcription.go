package sqlstore

import (
	"math/bits"
	"strings"

	"github.com/stint-go/stint"
)

// transcription is a built-in strategy's take of n units, written as SQL: when it is granted, and the state after it. It is exact in
// whole numbers of 64 bits, and held to the strategy itself by random traces. Names in braces stand for the state before ({a}, {b},
// {c}), the instant ({now}) and the limit's numbers; // is division without a rest. Everything else about a take, and what it answers,
// is worked out in Go from the state and the instant that come back.
type transcription struct {
	name    string
	numbers []string
	adds    bool // a take of the sum is several takes, if all of them are granted
	passes  string
	a, b, c string // b and c are empty for strategies of one word
}

// transcribed is the limit's transcription, if its strategy has one and no product of its numbers leaves 64 bits.
func transcribed(l *stint.Limit) *transcription {
	n := l.Numbers()
	switch l.Strategy.(type) {
	case stint.TokenBucket:
		if !n.Wide {
			return &tokenBucket
		}
	case stint.Pacing:
		if !n.Wide {
			return &pacing
		}
	case stint.FixedWindow:
		return &fixedWindow
	case stint.SlidingCounter:
		if hi, lo := bits.Mul64(uint64(n.Radix), uint64(n.Ticks)); !n.Wide && hi == 0 && lo < 1<<62 {
			return &slidingCounter
		}
	case stint.IntervalBucket:
		if n.Most < 1<<62 && l.Units < n.Ticks<<11 {
			return &intervalBucket
		}
	case stint.CalendarWindow:
		if n.Capacity < 1<<62 {
			return &calendarWindow
		}
	}
	return nil
}

// values are those of the transcription's numbers for a take of units at about the instant at.
func (t *transcription) values(l *stint.Limit, units, at int64) []int64 {
	n := l.Numbers()
	list := make([]int64, len(t.numbers))
	for i, name := range t.numbers {
		switch name {
		case "n":
			list[i] = units
		case "capacity":
			list[i] = n.Capacity
		case "ticks":
			list[i] = n.Ticks
		case "most":
			list[i] = n.Most
		case "radix":
			list[i] = n.Radix
		case "units":
			list[i] = l.Units
		case "p":
			list[i] = n.P
		case "full":
			list[i] = n.Full
		case "cost":
			list[i] = units * n.Q // no more than Full, since units are no more than the capacity
		}
	}
	if c, ok := l.Strategy.(stint.CalendarWindow); ok {
		// The window around this process's clock. If the database's is in another one the statement writes nothing.
		list[0], list[1] = c.Window(min(max(at, 0), stint.MaxInstant))
	}
	return list
}

// with puts named expressions into an expression.
func with(expression string, named ...string) string {
	for i := 0; i < len(named); i += 2 {
		expression = strings.ReplaceAll(expression, "{"+named[i]+"}", "("+named[i+1]+")")
	}
	return expression
}

// missing is what a bucket lacks, in parts. A State.A counts as 2^50 ticks ahead at most, as in the strategy.
const missing = "CASE WHEN {a} // 2048 >= {now} THEN LEAST({a} // 2048 - {now}, 1125899906842624) * {p} + LEAST({a} % 2048, {p}) ELSE 0 END"

var tokenBucket = transcription{
	name:    "token-bucket",
	numbers: []string{"p", "full", "cost"},
	adds:    true,
	passes:  with("{missing} + {cost} <= {full}", "missing", missing),
	a:       filled,
}

var filled = with("({now} + ({missing} + {cost}) // {p}) * 2048 + ({missing} + {cost}) % {p}", "missing", missing)

var pacing = transcription{
	name:    "pacing",
	numbers: []string{"p", "cost"},
	passes:  with("{missing} = 0", "missing", missing),
	a:       filled,
}

// A window into which a clock that stepped back has put the key is {stayed}.
var fixedWindow = func() transcription {
	next := "({now} // {ticks} + 1) * {ticks}"
	stayed := "{a} // 2048 // {ticks} * {ticks}"
	ahead := with("{a} - {next} * 2048", "next", next)
	end := with("CASE WHEN {ahead} > {most} THEN {stayed} ELSE {next} END", "ahead", ahead, "stayed", stayed, "next", next)
	used := with("CASE WHEN {ahead} <= 0 THEN 0 WHEN {ahead} > {most} THEN {a} - {stayed} * 2048 ELSE {ahead} END", "ahead", ahead, "stayed", stayed)
	return transcription{
		name:    "fixed-window",
		numbers: []string{"n", "capacity", "ticks", "most"},
		adds:    true,
		passes:  with("{used} <= {capacity} - {n}", "used", used),
		a:       with("{end} * 2048 + {used} + {n}", "end", end, "used", used),
	}
}()

var slidingCounter = func() transcription {
	ahead := "{a} - ({now} // {ticks} * {ticks} + 2 * {ticks}) * 2048"
	gone := with("{ahead} < -{ticks} * 2048 OR {a} <= {now} * 2048", "ahead", ahead)
	stayed := with("NOT {gone} AND {ahead} >= {ticks} * 2048", "gone", gone, "ahead", ahead) // the clock stepped back
	earlier := with("NOT {gone} AND {ahead} < 0", "gone", gone, "ahead", ahead)
	start := with("CASE WHEN {stayed} THEN {a} // 2048 // {ticks} * {ticks} - 2 * {ticks} ELSE {now} // {ticks} * {ticks} END", "stayed", stayed)
	digits := with("CASE WHEN {gone} THEN 0 WHEN {earlier} THEN {ahead} + {ticks} * 2048 ELSE {a} - ({start} + 2 * {ticks}) * 2048 END",
		"gone", gone, "earlier", earlier, "ahead", ahead, "start", start)
	current := with("CASE WHEN {earlier} THEN 0 ELSE {digits} // {radix} END", "earlier", earlier, "digits", digits)
	last := with("CASE WHEN {earlier} THEN {digits} // {radix} ELSE {digits} % {radix} END", "earlier", earlier, "digits", digits)
	faded := with("{last} * LEAST({start} + {ticks} - {now}, {ticks}) // {ticks}", "last", last, "start", start)
	return transcription{
		name:    "sliding-window-counter",
		numbers: []string{"n", "capacity", "ticks", "radix"},
		adds:    true,
		passes:  with("{current} + {faded} <= {capacity} - {n}", "current", current, "faded", faded),
		a:       with("({start} + 2 * {ticks}) * 2048 + ({current} + {n}) * {radix} + {last}", "start", start, "current", current, "last", last),
	}
}()

var intervalBucket = func() transcription {
	live := "{a} > {now} * 2048 AND {c} > 0"
	periods := "GREATEST({now} - {b}, 0) // {ticks}"
	left := with("CASE WHEN {live} THEN {c} - {periods} * {units} ELSE 0 END", "live", live, "periods", periods)
	start := with("CASE WHEN {left} > 0 THEN {b} + {periods} * {ticks} ELSE {now} END", "left", left, "periods", periods)
	used := with("GREATEST(LEAST({left}, {most}), 0)", "left", left)
	return transcription{
		name:    "interval-bucket",
		numbers: []string{"n", "capacity", "ticks", "most", "units"},
		adds:    true,
		passes:  with("{used} <= {capacity} - {n}", "used", used),
		a:       with("({start} + (({used} + {n} - 1) // {units} + 1) * {ticks}) * 2048", "start", start, "used", used),
		b:       start,
		c:       with("{used} + {n}", "used", used),
	}
}()

var calendarWindow = func() transcription {
	live := "{a} > {now} * 2048 AND {b} > 0"
	used := with("CASE WHEN {live} THEN {b} ELSE 0 END", "live", live)
	return transcription{
		name:    "calendar-window",
		numbers: []string{"start", "end", "n", "capacity"},
		adds:    true,
		passes:  with("({live} OR {start} <= {now} AND {now} < {end}) AND {used} <= {capacity} - {n}", "live", live, "used", used),
		a:       with("CASE WHEN {live} THEN {a} // 2048 ELSE {end} END * 2048", "live", live),
		b:       with("{used} + {n}", "used", used),
		c:       with("CASE WHEN {live} THEN {c} ELSE {start} END", "live", live),
	}
}()
