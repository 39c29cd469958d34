package stint

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// table holds the keys of one limit, by extendible hashing: a directory, indexed by the hash's top bits, of small segments that
// are split, compacted and merged one at a time, so that growth never pauses. Hits take no lock.
//
// Invariants
//  1. A slot's hash is written once in its segment's life, after its word; slots are never reused or deleted. So a probe may
//     end at the first empty slot, and a compare-and-swap never hits another key's word.
//  2. A word changes only by compare-and-swap from an even value or by whoever holds it, and last of all to frozen.
//  3. Only the holder of a segment's mutex makes keys in it or replaces it, and looks again first. So no key is made twice.
//  4. Replacing: freeze each word (its last value is what moves), copy what is live, swing the directory, mark dead. The old
//     segment is left to the garbage collector, which is what makes stale readers safe.
//  5. A call that meets a frozen word takes the mutex, and so waits for the copy, and looks again. A refusal or a look makes
//     no slot.
//  6. A rebuild waits for held words; a holder that meets a frozen word lets go of all that it holds. So there is no cycle.
type table struct {
	store  *Memory
	limit  *Limit
	family *family
	dir    atomic.Pointer[directory]
	mu     sync.Mutex // guards changes of the directory; taken after a segment's
	used   atomic.Int64
	sketch atomic.Pointer[sketch]
	hand   int // next segment to inspect, under Memory.sweep

	stride  uintptr // bytes of a slot
	narrow  bool    // a slot is one word, the state of a token bucket
	records bool    // slots are locked: more than one word of state, or keys kept
	cells   bool    // slots have Cells
	exact   bool    // slots keep their key

	unbounded bool // being filled from a snapshot, whatever the store's bound
	retired   atomic.Bool
}

type directory struct {
	shift   uint8 // 64 − the directory's depth, at most 63
	entries []pointer
}

// pointer is a place in a directory.
type pointer struct {
	segment atomic.Pointer[segment]
	lines   atomic.Uint64 // of the segment, or less while it is being replaced, never more
}

// segment is the head of a block of memory whose slots follow it.
type segment struct {
	lines uint64 // cache lines of slots; never changes
	mu    sync.Mutex
	used  int32
	depth uint8
	dead  bool
	keys  *[]string // of the slots by their index, in a table that keeps them
	_     [headSize - 32]byte
}

const (
	lineSize = 64
	// Go puts 8 bytes of its own before an object that has pointers. With them a head takes one line, so the slots that follow
	// lie in lines of their own, and a whole segment fills one of Go's sizes.
	goHeadSize = 8
	headSize   = lineSize - goHeadSize
	// fillParts is the part of a segment's slots that may be used, in 1/16: past it, probes grow long.
	fillParts = 13
)

// The sizes of a segment. A table begins with one of the least. One of the largest is split into two of the size before, so
// that no more than half of a table's slots are ever unused.
type (
	segment1K struct {
		segment
		_ [15 * lineSize]byte
	}
	segment4K struct {
		segment
		_ [63 * lineSize]byte
	}
	segment16K struct {
		segment
		_ [255 * lineSize]byte
	}
	segment24K struct {
		segment
		_ [383 * lineSize]byte
	}
)

// The same for tables with cells, where the garbage collector must see what slots point to.
type (
	cells1K struct {
		segment
		_ [15 * perLine]cellRecord
	}
	cells4K struct {
		segment
		_ [63 * perLine]cellRecord
	}
	cells16K struct {
		segment
		_ [255 * perLine]cellRecord
	}
	cells24K struct {
		segment
		_ [383 * perLine]cellRecord
	}
)

const (
	recordSize = unsafe.Sizeof(record{}) // and of a cellRecord
	perLine    = lineSize / recordSize
)

const (
	leastLines = 15
	splitLines = 255 // of each half
	mostLines  = 383
)

// nextLines is the next larger size.
func nextLines(lines uint64) uint64 { return min(lines*4+3, mostLines) }

// slot is the words that every slot begins with: the key's hash (0: empty; its lowest bit is 0 for a key that began from an
// upper bound), and State.A shifted left by one with the flag. In a table of records, B and C follow, and in one with cells C and
// the cells, which keep B.
type slot struct {
	hash atomic.Uint64
	word atomic.Uint64
}

type record struct {
	slot
	b, c int64
}

type cellRecord struct {
	slot
	c   int64
	log *Cells
}

// The words that are not a state.
const (
	frozen uint64 = 1<<64 - 1 // moved to another segment
	moved  uint64 = 1<<64 - 3 // counted under other values of the limit
	held   uint64 = 1         // the flag: a call works on the state
	mostA  int64  = 1<<63 - 8 // so that no held state looks like the two above
)

// wordOf is the word of a state. A strategy of somebody else may return any A; one below 0 says the same as 0.
func wordOf(st State) uint64 { return uint64(min(max(st.A, 0), mostA)) << 1 }

// newSegment is the memory of a segment of so many lines.
func newSegment(lines uint64, cells bool) *segment {
	switch {
	case lines == 15 && cells:
		return &new(cells1K).segment
	case lines == 15:
		return &new(segment1K).segment
	case lines == 63 && cells:
		return &new(cells4K).segment
	case lines == 63:
		return &new(segment4K).segment
	case lines == 255 && cells:
		return &new(cells16K).segment
	case lines == 255:
		return &new(segment16K).segment
	case cells:
		return &new(cells24K).segment
	}
	return &new(segment24K).segment
}

// segmentFor makes a segment of the table's kind.
func (t *table) segmentFor(lines uint64, depth uint8) *segment {
	s := newSegment(lines, t.cells)
	s.lines, s.depth = lines, depth
	if t.exact {
		keys := make([]string, t.slots(lines))
		s.keys = &keys
	}
	t.store.bytes.Add(s.bytes())
	return s
}

// discard accounts for a segment that was replaced.
func (t *table) discard(s *segment) {
	t.store.bytes.Add(-s.bytes())
	s.dead = true
}

// bytes is the segment's memory, without that of cells and keys.
func (s *segment) bytes() int64 {
	n := int64(lineSize + s.lines*lineSize)
	if s.keys != nil {
		n += int64(len(*s.keys)) * int64(unsafe.Sizeof(""))
	}
	return n
}

// slots is how many slots a segment has, full how many of them may be used.
func (t *table) slots(lines uint64) int { return int(lines * lineSize / uint64(t.stride)) }
func (t *table) full(lines uint64) int  { return t.slots(lines) * fillParts / 16 }

func (s *segment) at(offset uintptr) *slot {
	return (*slot)(unsafe.Add(unsafe.Pointer(s), headSize+offset))
}

// home is where the probe for a hash begins in so many lines, end where it goes on at the start.
func home(h, lines uint64) uintptr { return uintptr(uint64(uint32(h))*lines>>32) * lineSize }
func (s *segment) end() uintptr    { return uintptr(s.lines) * lineSize }

func (d *directory) segment(h uint64) *segment { return d.entries[h>>(d.shift&63)].segment.Load() }

// place is the segment of a hash and its lines without a look at the segment's head, which on a cold key would be one more page
// to find. The lines are never more than the segment's own: put sees to it by the order in which it writes, and the segment is
// read twice here since a segment that was replaced never comes back. Where they are less, a probe may miss its key.
func (d *directory) place(h uint64) (*segment, uint64) {
	e := &d.entries[h>>(d.shift&63)]
	s, lines := e.segment.Load(), e.lines.Load()
	for s != e.segment.Load() {
		s, lines = e.segment.Load(), e.lines.Load()
	}
	return s, lines
}

// fourSlots are those of a cache line, in a table of one word.
type fourSlots [lineSize / 16]slot

// line is where the probe for a hash begins, in a table of one word.
func (d *directory) line(h uint64) *fourSlots {
	s, lines := d.place(h)
	return (*fourSlots)(unsafe.Pointer(s.at(home(h, lines))))
}

// slot is the hash's slot, or another if the hash is not in this line.
func (f *fourSlots) slot(h uint64) *slot {
	at := 3
	if f[2].hash.Load()|1 == h {
		at = 2
	}
	if f[1].hash.Load()|1 == h {
		at = 1
	}
	if f[0].hash.Load()|1 == h {
		at = 0
	}
	return &f[at]
}

// put lets an entry point at a segment. Table.mu is held, or nobody knows the directory yet.
func (d *directory) put(i int, s *segment) {
	e := &d.entries[i]
	if old := e.segment.Load(); old != nil && old.lines > s.lines {
		e.lines.Store(s.lines)
	}
	e.segment.Store(s)
	e.lines.Store(s.lines)
}

func makeDirectory(shift uint8) *directory {
	return &directory{shift: shift, entries: make([]pointer, 1<<(64-shift))}
}

// find is the slot of a hash, or nil. key is compared where the table keeps keys.
func (t *table) find(s *segment, h uint64, key string) *slot {
	end := s.end()
	for i := home(h, s.lines); ; {
		p := s.at(i)
		x := p.hash.Load()
		if x|1 == h && (!t.exact || (*s.keys)[i/t.stride] == key) {
			return p
		}
		if x == 0 {
			return nil
		}
		if i += t.stride; i == end {
			i = 0
		}
	}
}

// insert puts a slot into a segment that has room, which only the holder of its mutex may.
func (t *table) insert(s *segment, h uint64, key string, st State) {
	end := s.end()
	i := home(h|1, s.lines)
	for s.at(i).hash.Load() != 0 {
		if i += t.stride; i == end {
			i = 0
		}
	}
	p := s.at(i)
	t.write(p, st)
	p.word.Store(wordOf(st))
	if t.exact {
		(*s.keys)[i/t.stride] = key
	}
	p.hash.Store(h)
	s.used++
}

// state reads what a slot holds, but for A, for whoever holds it.
func (t *table) state(p *slot, word uint64) State {
	st := State{A: int64(word >> 1)}
	switch {
	case t.cells:
		r := (*cellRecord)(unsafe.Pointer(p))
		if st.C, st.Log = r.c, r.log; st.Log != nil {
			st.B = st.Log.b
		}
	case t.records:
		r := (*record)(unsafe.Pointer(p))
		st.B, st.C = r.b, r.c
	}
	return st
}

// write writes what a slot holds, but for A, for whoever holds it.
func (t *table) write(p *slot, st State) {
	switch {
	case t.cells:
		r := (*cellRecord)(unsafe.Pointer(p))
		if st.Log == nil && st.B != 0 {
			// A strategy of somebody else lets go of its cells and counts without them.
			st.Log = t.limit.newCells()
			t.store.bytes.Add(st.Log.bytes())
		}
		r.c = st.C
		if r.log != st.Log {
			r.log = st.Log // only then, since the garbage collector follows such writes
		}
		if st.Log != nil {
			st.Log.b = st.B
		}
	case t.records:
		r := (*record)(unsafe.Pointer(p))
		r.b, r.c = st.B, st.C
	}
}

// release writes a state back and lets go of its slot.
func (t *table) release(p *slot, st State) {
	t.write(p, st)
	p.word.Store(wordOf(st))
}

// entry is a key on its way from one segment to another.
type entry struct {
	hash  uint64
	key   string
	state State
}

// freeze takes every live key out of a segment whose mutex is held. Nothing changes in it afterwards.
func (t *table) freeze(s *segment, now int64, into []entry) []entry {
	for i := uintptr(0); i < s.end(); i += t.stride {
		p := s.at(i)
		h := p.hash.Load()
		if h == 0 {
			p.word.Store(frozen)
			continue
		}
		word := p.word.Load()
		for word&held != 0 && word != moved || !p.word.CompareAndSwap(word, frozen) {
			runtime.Gosched()
			word = p.word.Load()
		}
		st := t.state(p, word)
		if word == moved || st.Forgettable(now) {
			t.store.bytes.Add(-st.Log.bytes())
			continue
		}
		e := entry{hash: h, state: st}
		if t.exact {
			e.key = (*s.keys)[i/t.stride]
		}
		into = append(into, e)
	}
	return into
}

// swing lets every directory entry of a segment point at what replaces it: at low, or at high where the bit below the
// segment's depth is set. The directory is doubled where it is too small for two.
func (t *table) swing(s, low, high *segment, h uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.dir.Load()
	if low != high && 64-d.shift < low.depth {
		double := makeDirectory(d.shift - 1)
		for i := range d.entries {
			p := d.entries[i].segment.Load()
			double.put(2*i, p)
			double.put(2*i+1, p)
		}
		d = double
		t.dir.Store(d)
	}
	span := 1 << (64 - d.shift - min(s.depth, low.depth))
	first := int(h>>(d.shift&63)) &^ (span - 1)
	for i := range span {
		to := low
		if i >= span/2 {
			to = high
		}
		d.put(first+i, to)
	}
}
