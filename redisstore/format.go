package redisstore

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// What a key holds begins with its format. Format 1 is package record's: any record, for Go alone. The other two are those that
// decide.lua reads, big-endian, and say the same:
//
//	words  format, variant (8), kept until (4), A (8)                  21 bytes
//	       … and B (8), C (8)                                          37 bytes
//	runs   format, variant (8), kept until (4), A (8), units (8), first cell (2), cells in use (2), cells (2)   35 bytes
//	       … and for each cell the instant of a run (8) and the units before it (8), in a ring
//
// Kept until is when the key's expiry is at the earliest, in 2^20 ticks, so that a write need not touch it.
const (
	formatAny   byte = 1
	formatWords byte = 2
	formatRuns  byte = 3

	headSize = 9
	wordSize = 21
	wideSize = 37
	runsSize = 35
	cellSize = 16
)

const fractionBits = 11

// parse reads what a key holds; nothing is a new key's record.
func parse(data string) (record.Record, error) {
	var r record.Record
	if data == "" {
		return r, nil
	}
	b := []byte(data)
	switch {
	case b[0] == formatAny:
		return record.Parse(b)
	case b[0] != formatWords && b[0] != formatRuns:
		return r, record.ErrFormat
	case b[0] == formatWords && len(b) != wordSize && len(b) != wideSize || b[0] == formatRuns && len(b) < runsSize:
		return r, record.ErrDamaged
	}
	r.Variant = binary.BigEndian.Uint64(b[1:])
	r.State.A = number(b[13:])
	if b[0] == formatRuns {
		return parseRuns(r, b)
	}
	if len(b) == wideSize {
		r.State.B, r.State.C = number(b[21:]), number(b[29:])
	}
	return r, nil
}

func parseRuns(r record.Record, b []byte) (record.Record, error) {
	first, used, cells := int(binary.BigEndian.Uint16(b[29:])), int(binary.BigEndian.Uint16(b[31:])), int(binary.BigEndian.Uint16(b[33:]))
	if len(b) != runsSize+cells*cellSize || used > cells || first >= cells {
		return record.Record{}, record.ErrDamaged
	}
	r.State.B = number(b[21:])
	if used == 0 {
		return r, nil
	}
	pairs := make([]stint.Pair, used)
	for i := range pairs {
		cell := b[runsSize+(first+i)%cells*cellSize:]
		pairs[i] = stint.Pair{At: number(cell), Units: number(cell[8:])}
	}
	r.State.C, r.State.Log = int64(used), stint.CellsOf(pairs)
	return r, nil
}

// format is what the key is to hold, and for how many milliseconds from now; nothing for a record that says no more than a new
// key's.
func (p *plan) format(r *record.Record, now int64, slack int64) (string, int64) {
	until := r.Until(p.limit)
	if until <= now {
		return "", 0
	}
	ms := kept(until, now) + slack
	if p.kind == byGo || r.Blocked != 0 || r.Reset != 0 || !p.readable(r.State) {
		return string(r.Append(nil)), ms
	}
	b := append(make([]byte, 0, wideSize), p.head...)
	b = binary.BigEndian.AppendUint32(b, uint32(min((now+ms*1000)>>20, math.MaxUint32)))
	b = binary.BigEndian.AppendUint64(b, uint64(r.State.A))
	switch {
	case p.kind == byRuns:
		b = p.appendRuns(b, r.State)
	case p.wide():
		b = binary.BigEndian.AppendUint64(b, uint64(r.State.B))
		b = binary.BigEndian.AppendUint64(b, uint64(r.State.C))
	}
	return string(b), ms
}

// readable says whether the script's numbers can hold the state.
func (p *plan) readable(s stint.State) bool {
	if p.kind != byRuns {
		return s.B >= 0 && s.B < exact && s.C >= 0 && s.C < exact && s.Log == nil
	}
	pairs := s.Log.Pairs()
	return len(pairs) > 0 && s.C == int64(len(pairs)) && s.B-pairs[0].Units < exact
}

// appendRuns appends runs without a gap, counted from the first, with room for one more.
func (p *plan) appendRuns(b []byte, s stint.State) []byte {
	pairs := slices.Clone(s.Log.Pairs())
	pairs[len(pairs)-1].At = s.A>>fractionBits - p.n.Ticks // a strategy does not write it into the cell
	cells := max(len(pairs), min(len(pairs)+1, p.limit.Words()))
	b = binary.BigEndian.AppendUint64(b, uint64(s.B-pairs[0].Units))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pairs)))
	b = binary.BigEndian.AppendUint16(b, uint16(cells))
	for _, pair := range pairs {
		b = binary.BigEndian.AppendUint64(b, uint64(pair.At))
		b = binary.BigEndian.AppendUint64(b, uint64(pair.Units-pairs[0].Units))
	}
	return append(b, make([]byte, (cells-len(pairs))*cellSize)...)
}

// kept is how many milliseconds a record is kept that is needed until then: half as long again, as in decide.lua.
func kept(until, now int64) int64 { return (until-now)/1000*3/2 + 1002 }

func number(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
