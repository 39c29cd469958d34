package stint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// savedTable is a table out of a snapshot that no limit has claimed yet.
type savedTable struct {
	id, strategy      string
	units, per, burst int64
	words             int
	exact             bool
	entries           []entry
	sketch            *sketch
}

// restore reads a snapshot as a whole, and takes it over only if all of it is sound.
func (m *Memory) restore(name string) error {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stint: snapshot: %w", err)
	}
	d := &decoder{data: data}
	if reason := d.open(); reason != "" {
		return &SnapshotError{name, reason}
	}
	var saved []*savedTable
	key := seedFrom(d.bytes(32))
	at := d.number()
	for d.more("table", partTable) != partEnd {
		saved = append(saved, d.table())
	}
	saved = d.moved(saved, m.options.ExactKeys)
	keys, used := d.notes()
	if d.reason == "" && len(d.data) > 0 {
		d.reason = "it goes on after its end"
	}
	if d.reason == "" && (at < 0 || at > MaxInstant) {
		d.reason = "it was saved at an instant outside the years 1970 to 2077"
	}
	for _, t := range saved {
		if d.reason == "" && t.exact != m.options.ExactKeys {
			d.reason = "it was saved with another choice of ExactKeys"
		}
	}
	if d.reason != "" {
		return &SnapshotError{name, d.reason}
	}
	m.seed = key
	m.clock.start = max(m.clock.start, at)
	m.saved = saved
	m.notes.keys = keys
	m.notes.known.Store(int64(len(keys)))
	for _, x := range keys {
		m.notes.count(m, note{}, x)
	}
	for _, r := range used {
		shard := m.notes.receipts.shard(r.nonce)
		if place, seen := shard.find(r.nonce, at); !seen {
			shard.add(place, r.nonce, r.until, at)
		}
	}
	return nil
}

// decoder reads the parts of a snapshot. The first reason why it cannot go on stays.
type decoder struct {
	data   []byte
	reason string
}

// open checks the head and the sum.
func (d *decoder) open() string {
	if len(d.data) < len(snapshotMagic)+8+sha256.Size || string(d.data[:len(snapshotMagic)]) != snapshotMagic {
		return "it is not a snapshot, or only the beginning of one"
	}
	end := len(d.data) - sha256.Size
	if v := binary.LittleEndian.Uint64(d.data[len(snapshotMagic):]); v != snapshotVersion {
		return fmt.Sprintf("it has format version %d, and this program reads version %d", v, snapshotVersion)
	}
	if sum := sha256.Sum256(d.data[:end]); !bytes.Equal(sum[:], d.data[end:]) {
		return "it is damaged: the checksum does not fit the content"
	}
	d.data = d.data[len(snapshotMagic)+8 : end]
	return ""
}

func (d *decoder) bytes(n int64) []byte {
	if d.reason != "" {
		return make([]byte, min(n, 32))
	}
	if n < 0 || n > int64(len(d.data)) {
		d.reason = "it ends in the middle of a value"
		return make([]byte, 32)
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) number() int64 { return int64(binary.LittleEndian.Uint64(d.bytes(8))) }

func (d *decoder) text() string {
	n := d.number()
	if d.reason != "" {
		return ""
	}
	return string(d.bytes(n))
}

// more is the mark of the next part, which must be one of the given ones up to most; the end's if nothing can be read.
func (d *decoder) more(of string, most int64) int64 {
	mark := d.number()
	if d.reason == "" && (mark < partEnd || mark > most) {
		d.reason = "a " + of + " begins with no known mark"
	}
	if d.reason != "" {
		return partEnd
	}
	return mark
}

func (d *decoder) table() *savedTable {
	t := d.head()
	for d.reason == "" {
		h := d.number()
		if h == 0 || d.reason != "" {
			break
		}
		t.entries = append(t.entries, d.entry(h, t))
	}
	t.sketch = d.sketch()
	return t
}

func (d *decoder) head() *savedTable {
	t := &savedTable{id: d.text(), strategy: d.text(), units: d.number(), per: d.number(), burst: d.number()}
	t.words, t.exact = int(d.number()), d.number() == 1
	return t
}

// entry is a key of the table, whose hash has been read.
func (d *decoder) entry(h int64, t *savedTable) entry {
	x := entry{hash: uint64(h), state: State{A: d.number()}}
	if t.words > 1 || t.exact {
		x.state.B, x.state.C = d.number(), d.number()
	}
	if t.words > 3 {
		n := d.number()
		if n < 0 || n > int64(len(d.data)/16) {
			d.reason = "it ends in the middle of a log"
			return x
		}
		if n > 0 {
			x.state.Log = NewCells(int(n))
		}
		for i, pairs := 0, x.state.Log.Pairs(); i < len(pairs); i++ {
			pairs[i] = Pair{d.number(), d.number()}
		}
	}
	if t.exact {
		x.key = d.text()
	}
	return x
}

// moved reads the keys that moved while the tables were written, and puts each where it was found afterwards and nowhere else.
func (d *decoder) moved(saved []*savedTable, exact bool) []*savedTable {
	type place struct {
		id   string
		hash uint64
		key  string
	}
	var found []*savedTable
	seen := make(map[place]bool)
	for mark := d.more("moved key", partGone); mark != partEnd; mark = d.more("moved key", partGone) {
		switch mark {
		case partTable:
			found = append(found, d.head())
		case partKey:
			i := d.number()
			if i < 0 || i >= int64(len(found)) {
				d.reason = "a moved key is of no table"
				return nil
			}
			x := d.entry(d.number(), found[i])
			found[i].entries = append(found[i].entries, x)
			seen[place{found[i].id, x.hash | 1, x.key}] = true
		case partGone:
			gone := place{id: d.text(), hash: uint64(d.number()) | 1}
			if exact {
				gone.key = d.text()
			}
			seen[gone] = true
		}
	}
	if len(seen) == 0 {
		return saved
	}
	for _, t := range saved {
		t.entries = slices.DeleteFunc(t.entries, func(x entry) bool { return seen[place{t.id, x.hash | 1, x.key}] })
	}
	for _, t := range found {
		if i := slices.IndexFunc(saved, t.sameValues); i >= 0 {
			saved[i].entries = append(saved[i].entries, t.entries...)
		} else {
			saved = append(saved, t)
		}
	}
	return saved
}

// sameValues says whether both tables are of the same values of a limit.
func (t *savedTable) sameValues(other *savedTable) bool {
	return t.id == other.id && t.strategy == other.strategy && t.units == other.units && t.per == other.per && t.burst == other.burst
}

func (d *decoder) sketch() *sketch {
	width := d.number()
	if width == 0 || d.reason != "" {
		return nil
	}
	unordered := d.number() != 0
	if width < 0 || width&(width-1) != 0 || width > int64(len(d.data)/(8*sketchRows)) {
		d.reason = "it ends in the middle of a sketch"
		return nil
	}
	k := makeSketch(width, unordered)
	for row := range sketchRows {
		for i := range k.a[row] {
			a := d.number()
			k.a[row][i].Store(a)
			raise(&k.last, a)
		}
		for i := range k.used[row] {
			k.used[row][i].Store(d.number())
		}
	}
	return k
}

// notes reads what save wrote.
func (d *decoder) notes() (map[noteKey]note, []usedReceipt) {
	keys := make(map[noteKey]note)
	for left := d.number(); left > 0 && d.reason == ""; left-- {
		keys[noteKey{d.text(), d.text()}] = note{d.number(), d.number(), d.number()}
	}
	var used []usedReceipt
	for left := d.number(); left > 0 && d.reason == ""; left-- {
		if r := (usedReceipt{uint64(d.number()), d.number()}); r.nonce != 0 && r.until > 0 {
			used = append(used, r)
		}
	}
	return keys, used
}

// save writes the notes: blocks in force, resets and used receipts.
func (n *notes) save(e *encoder, now int64) {
	var used []usedReceipt
	for i := range n.receipts {
		used = n.receipts[i].appendUsed(used, now)
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	e.number(int64(len(n.keys)))
	for k, x := range n.keys {
		e.text(k.id)
		e.text(k.key)
		e.number(x.blocked)
		e.number(x.reset)
		e.number(x.until)
	}
	e.number(int64(len(used)))
	for _, r := range used {
		e.number(int64(r.nonce))
		e.number(r.until)
	}
}

// claim turns what the snapshot has for a limit's ID into tables. m.mu is held.
func (m *Memory) claim(f *family, l *Limit) error {
	var rest, ours []*savedTable
	var limits []*Limit
	for _, saved := range m.saved {
		if saved.id != l.ID {
			rest = append(rest, saved)
			continue
		}
		limit := l
		if saved.strategy != l.Strategy.Name() || saved.units != l.Units || saved.per != int64(l.Per) || saved.burst != l.Burst {
			limit = saved.limit()
		}
		if limit.words != saved.words {
			return &SnapshotError{m.options.SnapshotFile, fmt.Sprintf("limit %q keeps %d words of state there and %d here", l.ID, saved.words, limit.words)}
		}
		ours, limits = append(ours, saved), append(limits, limit)
	}
	now := m.earliest(m.now())
	for i, saved := range ours {
		t := m.newTable(f, limits[i])
		limit := t.limit
		// Where nothing may be evicted all that was saved comes back, whatever the bound is now.
		t.unbounded = !t.mayEvict()
		m.adopt(f, t)
		if k := saved.sketch; k != nil && len(k.used[0]) > 0 == !limit.ordered {
			t.sketch.Store(k)
			m.bytes.Add(k.bytes())
		}
		for _, x := range saved.entries {
			st := x.state.cloned() // a snapshot that is being written may read the other
			err := t.settleHere(x.hash, x.key, st, now)
			for err == errAgain {
				err = t.settleHere(x.hash, x.key, st, now)
			}
			if err != nil {
				return err
			}
		}
		t.unbounded = false
	}
	m.saved = rest
	return nil
}

// limit is the limit that the table was saved under.
func (t *savedTable) limit() *Limit {
	l := Limit{ID: t.id, Units: t.units, Per: time.Duration(t.per), Burst: t.burst}
	c := l.remembered(t.strategy, t.words, nil)
	if _, asleep := c.Strategy.(dormant); asleep {
		c.variant = ^c.variant // no limit counts by it, not even one with the same values
	}
	return c
}

// dormant stands for a strategy that this program does not have, of a limit that now counts by another one: nothing is known
// of its states but when they may be forgotten, so their keys count as empty until then.
type dormant struct {
	name  string
	words int
}

func (d dormant) Name() string         { return d.name }
func (d dormant) Words(*Limit) int     { return d.words }
func (d dormant) Compile(*Limit) error { return nil }

func (d dormant) Apply(s State, _ *Limit, now int64, op Op) (State, Answer) {
	wait := max(0, s.A>>fractionBits-now)
	return s, Answer{Wait: wait, Reset: wait}
}
