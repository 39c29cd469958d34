package record

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/stint-go/stint"
)

// The errors of reading a record. Neither is ever taken for a new key.
const (
	ErrFormat  stint.Error = "stint: a record in the store is of an unknown format: it was written by a newer version; update this process"
	ErrDamaged stint.Error = "stint: a record in the store is damaged; remove it to let the key begin anew"
)

// format is what the first byte of a record says. Another one is another format.
const format = 1

// The parts that a record has.
const (
	hasState byte = 1 << iota
	hasRest       // B and C
	hasCells
	hasBlock
	hasReset
	allParts = 1<<iota - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the record's bytes: the format, which parts there are, the parts as variable-length numbers, and a check sum. A
// record of one word takes some 22 bytes.
func (r *Record) Append(to []byte) []byte {
	start, s, parts := len(to), r.State, r.parts()
	to = append(to, format, parts)
	if parts&hasState != 0 {
		to = binary.LittleEndian.AppendUint64(to, r.Variant)
		to = binary.AppendVarint(to, s.A)
	}
	if parts&hasRest != 0 {
		to = binary.AppendVarint(to, s.B)
		to = binary.AppendVarint(to, s.C)
	}
	if parts&hasBlock != 0 {
		to = binary.AppendVarint(to, r.Blocked)
	}
	if parts&hasReset != 0 {
		to = binary.AppendVarint(to, r.Reset)
	}
	if parts&hasCells != 0 {
		to = appendPairs(to, s)
	}
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(to[start:], castagnoli))
}

// parts are those that the record has.
func (r *Record) parts() (parts byte) {
	s := r.State
	if s.A != 0 || s.B != 0 || s.C != 0 || s.Log != nil || r.Variant != 0 {
		parts |= hasState
	}
	if s.B != 0 || s.C != 0 {
		parts |= hasRest
	}
	if s.Log != nil {
		parts |= hasCells
	}
	if r.Blocked != 0 {
		parts |= hasBlock
	}
	if r.Reset != 0 {
		parts |= hasReset
	}
	return parts
}

// Parse reads what Append wrote. No bytes are a new key's record.
func Parse(data []byte) (Record, error) {
	var r Record
	if len(data) == 0 {
		return r, nil
	}
	if data[0] != format {
		return r, ErrFormat
	}
	d, ok := opened(data)
	if !ok {
		return r, ErrDamaged
	}
	parts := d.byte()
	if parts&hasState != 0 {
		r.Variant, r.State.A = d.word(), d.number()
	}
	if parts&hasRest != 0 {
		r.State.B, r.State.C = d.number(), d.number()
	}
	if parts&hasBlock != 0 {
		r.Blocked = d.number()
	}
	if parts&hasReset != 0 {
		r.Reset = d.number()
	}
	if parts&hasCells != 0 {
		r.State.Log = d.cells(r.State)
	}
	if d.bad || len(d.data) > 0 || parts > allParts {
		return Record{}, ErrDamaged
	}
	return r, nil
}

// AppendCells appends the bytes of a state's cells alone, for a store that keeps the words apart; nothing if there are none. They
// are read with the words that they were written with.
func AppendCells(to []byte, s stint.State) []byte {
	if s.Log == nil {
		return to
	}
	start := len(to)
	to = appendPairs(append(to, format), s)
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(to[start:], castagnoli))
}

// ParseCells reads what AppendCells wrote into the state, whose words are there.
func ParseCells(data []byte, s *stint.State) error {
	if len(data) == 0 {
		return nil
	}
	if data[0] != format {
		return ErrFormat
	}
	d, ok := opened(data)
	if !ok {
		return ErrDamaged
	}
	cells := d.cells(*s)
	if d.bad || len(d.data) > 0 {
		return ErrDamaged
	}
	s.Log = cells
	return nil
}

// appendPairs appends how many cells there are, and each as its difference from the one before: few bytes for instants that follow
// each other, and right for any.
func appendPairs(to []byte, s stint.State) []byte {
	to = binary.AppendUvarint(to, uint64(len(s.Log.Pairs())))
	last := stint.Pair{At: s.A >> fractionBits, Units: s.B}
	for _, p := range s.Log.Pairs() {
		to = binary.AppendVarint(to, p.At-last.At)
		to = binary.AppendVarint(to, p.Units-last.Units)
		last = p
	}
	return to
}

// decoder reads the parts of a record. What cannot be read is bad for good.
type decoder struct {
	data []byte
	bad  bool
}

// opened is the record without its format and check sum, if that is right.
func opened(data []byte) (*decoder, bool) {
	end := len(data) - 4
	if end < 2 || crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, false
	}
	return &decoder{data: data[1:end]}, true
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.bad = true
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) word() uint64 {
	if len(d.data) < 8 {
		d.bad = true
		return 0
	}
	w := binary.LittleEndian.Uint64(d.data)
	d.data = d.data[8:]
	return w
}

func (d *decoder) number() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[size:]
	return n
}

// maxCells bounds what a record can ask for; two bytes are the least that a cell takes.
const maxCells = math.MaxInt16

func (d *decoder) cells(s stint.State) *stint.Cells {
	n, size := binary.Uvarint(d.data)
	if size <= 0 || n > maxCells || n > uint64(len(d.data)/2) {
		d.bad = true
		return nil
	}
	d.data = d.data[size:]
	c := stint.NewCells(int(n))
	pairs := c.Pairs()
	last := stint.Pair{At: s.A >> fractionBits, Units: s.B}
	for i := range pairs {
		last.At += d.number()
		last.Units += d.number()
		pairs[i] = last
	}
	return c
}
