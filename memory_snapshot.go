package stint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// A snapshot is the store's keys in a file: a head with the seed and the store's instant, the tables with the values of their
// limits, their sketches, the notes, and a SHA-256 of all that. Instants in it are absolute; a store that starts from it begins no earlier
// than it was saved, so a wall clock that stepped back grants nothing. It holds the seed of the hash, so its mode is 0600.
const (
	snapshotMagic   = "stint snapshot\n"
	snapshotVersion = 1
)

// SnapshotError says why a snapshot cannot be used. Nothing of it was loaded.
type SnapshotError struct {
	File   string
	Reason string
}

func (e *SnapshotError) Error() string {
	return fmt.Sprintf("stint: snapshot %s: %s; nothing was loaded: restore the file from a copy, or remove it to begin with new counts", e.File, e.Reason)
}

// saver writes snapshots until it is stopped.
type saver struct {
	store *Memory
	quit  chan struct{}
	done  chan struct{}

	mu  sync.Mutex
	err error // of the last snapshot
}

func startSaver(m *Memory) *saver {
	v := &saver{store: m, quit: make(chan struct{}), done: make(chan struct{})}
	go v.run()
	return v
}

func (v *saver) run() {
	defer close(v.done)
	every := v.store.options.SnapshotEvery
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-v.quit:
			return
		case <-timer.C:
		}
		began := time.Now()
		err := v.store.Save()
		v.mu.Lock()
		v.err = err
		v.mu.Unlock()
		// A snapshot that takes long is written less often: at most a tenth of the time goes into it.
		timer.Reset(max(every, 9*time.Since(began)))
	}
}

// stop ends the saver and writes the last snapshot.
func (v *saver) stop() error {
	close(v.quit)
	<-v.done
	return v.store.Save()
}

// SnapshotErr is why the last periodic snapshot failed; nil if it did not.
func (m *Memory) SnapshotErr() error {
	if m.saver == nil {
		return nil
	}
	m.saver.mu.Lock()
	defer m.saver.mu.Unlock()
	return m.saver.err
}

// Save writes the snapshot now. The file is replaced as a whole or not at all.
func (m *Memory) Save() error {
	name := m.options.SnapshotFile
	if name == "" {
		return errors.New("stint: the memory store has no SnapshotFile to save to")
	}
	m.saving.Lock()
	defer m.saving.Unlock()
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*")
	if err != nil {
		return fmt.Errorf("stint: snapshot: %w", err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	defer f.Close()
	if err := m.writeSnapshot(f); err != nil {
		return fmt.Errorf("stint: snapshot %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("stint: snapshot %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("stint: snapshot: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(name)); err == nil {
		defer dir.Close()
		return dir.Sync()
	}
	return nil
}

// encoder writes the parts of a snapshot and sums them up. The first error stays.
type encoder struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
	raw []byte
}

func (e *encoder) flush() {
	if e.err == nil {
		e.sum.Write(e.raw)
		_, e.err = e.w.Write(e.raw)
	}
	e.raw = e.raw[:0]
}

func (e *encoder) number(n int64) {
	e.raw = binary.LittleEndian.AppendUint64(e.raw, uint64(n))
	if len(e.raw) > 1<<15 {
		e.flush()
	}
}

func (e *encoder) text(s string) {
	e.number(int64(len(s)))
	e.raw = append(e.raw, s...)
}

func (m *Memory) writeSnapshot(f io.Writer) error {
	e := &encoder{w: bufio.NewWriterSize(f, 1<<16), sum: sha256.New()}
	e.raw = append(e.raw, snapshotMagic...)
	e.number(snapshotVersion)
	e.raw = append(e.raw, m.seed.bytes()...)
	now := m.now()
	e.number(now)
	// Both at once: a limit that is claimed meanwhile is written as it was saved.
	m.mu.RLock()
	tables, unclaimed := m.allTables(), m.saved
	m.mu.RUnlock()
	for _, t := range tables {
		e.table(t, m.earliest(now))
	}
	for _, saved := range unclaimed {
		e.saved(saved, m.earliest(now))
	}
	e.number(-1)
	m.notes.save(e)
	e.flush()
	if e.err == nil {
		_, e.err = e.w.Write(e.sum.Sum(nil))
	}
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return e.err
}

// table writes a table in the order of its hashes, a segment at a time, so that splits meanwhile lose nothing.
func (e *encoder) table(t *table, now int64) {
	e.head(t.limit.ID, t.limit.Strategy.Name(), t.limit.Units, int64(t.limit.Per), t.limit.Burst, t.limit.words, t.exact)
	var batch []entry
	for h := uint64(0); ; {
		d := t.dir.Load()
		s := d.segment(h)
		s.mu.Lock()
		if s.dead {
			s.mu.Unlock()
			if t.retired.Load() {
				break
			}
			continue
		}
		batch = t.copyLive(s, now, batch[:0])
		depth := s.depth
		s.mu.Unlock()
		for _, entry := range batch {
			e.entry(entry, t.records, t.cells, t.exact)
		}
		if depth == 0 {
			break
		}
		if h = (h>>(64-depth) + 1) << (64 - depth); h == 0 {
			break
		}
	}
	e.number(0)
	e.sketch(t.sketch.Load())
}

func (e *encoder) head(id, strategy string, units, per, burst int64, words int, exact bool) {
	e.number(1)
	e.text(id)
	e.text(strategy)
	e.number(units)
	e.number(per)
	e.number(burst)
	e.number(int64(words))
	if exact {
		e.number(1)
	} else {
		e.number(0)
	}
}

func (e *encoder) entry(x entry, records, cells, exact bool) {
	e.number(int64(x.hash))
	e.number(x.state.A)
	if records {
		e.number(x.state.B)
		e.number(x.state.C)
	}
	if cells {
		var pairs []Pair
		if x.state.Log != nil {
			pairs = x.state.Log.Pairs
		}
		e.number(int64(len(pairs)))
		for _, p := range pairs {
			e.number(p.At)
			e.number(p.Units)
		}
	}
	if exact {
		e.text(x.key)
	}
}

func (e *encoder) saved(t *savedTable, now int64) {
	e.head(t.id, t.strategy, t.units, t.per, t.burst, t.words, t.exact)
	for _, x := range t.entries {
		if !x.state.Forgettable(now) {
			e.entry(x, t.words > 1 || t.exact, t.words > 3, t.exact)
		}
	}
	e.number(0)
	e.sketch(t.sketch)
}

// sketch writes what is remembered of evicted keys.
func (e *encoder) sketch(k *sketch) {
	if k == nil {
		e.number(0)
		return
	}
	e.number(int64(len(k.a[0])))
	e.number(int64(len(k.used[0])))
	for row := range sketchRows {
		for i := range k.a[row] {
			e.number(k.a[row][i].Load())
		}
		for i := range k.used[row] {
			e.number(k.used[row][i].Load())
		}
	}
}

// copyLive copies the live keys of a segment whose mutex is held.
func (t *table) copyLive(s *segment, now int64, into []entry) []entry {
	for i := uintptr(0); i < s.end(); i += t.stride {
		p := s.at(i)
		h := p.hash.Load()
		if h == 0 {
			continue
		}
		word := p.word.Load()
		for word != moved && (word&held != 0 || t.records && !p.word.CompareAndSwap(word, word|held)) {
			runtime.Gosched()
			word = p.word.Load()
		}
		if word == moved {
			continue
		}
		e := entry{hash: h, state: t.state(s, p, i, word)}
		if t.exact {
			e.key = s.extra.keys[i/t.stride]
		}
		e.state = e.state.cloned()
		if t.records {
			p.word.Store(word)
		}
		if e.state.A > now<<fractionBits {
			into = append(into, e)
		}
	}
	return into
}

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
	for d.number() == 1 && d.reason == "" {
		saved = append(saved, d.table())
	}
	var kept notes
	d.notes(&kept)
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
	m.start = max(m.start, at)
	m.saved = saved
	m.notes.keys, m.notes.used = kept.keys, kept.used
	for _, x := range kept.keys {
		m.notes.count(m, note{}, x)
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

func (d *decoder) table() *savedTable {
	t := &savedTable{id: d.text(), strategy: d.text(), units: d.number(), per: d.number(), burst: d.number()}
	t.words, t.exact = int(d.number()), d.number() == 1
	for d.reason == "" {
		h := d.number()
		if h == 0 || d.reason != "" {
			break
		}
		x := entry{hash: uint64(h), state: State{A: d.number()}}
		if t.words > 1 || t.exact {
			x.state.B, x.state.C = d.number(), d.number()
		}
		if t.words > 3 {
			n := d.number()
			if n < 0 || n > int64(len(d.data)/16) {
				d.reason = "it ends in the middle of a log"
				break
			}
			if n > 0 {
				x.state.Log = &Cells{Pairs: make([]Pair, n)}
			}
			for i := range n {
				x.state.Log.Pairs[i] = Pair{d.number(), d.number()}
			}
		}
		if t.exact {
			x.key = d.text()
		}
		t.entries = append(t.entries, x)
	}
	t.sketch = d.sketch()
	return t
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
func (d *decoder) notes(n *notes) {
	n.keys, n.used = make(map[noteKey]note), make(map[uint64]int64)
	for left := d.number(); left > 0 && d.reason == ""; left-- {
		n.keys[noteKey{d.text(), d.text()}] = note{d.number(), d.number(), d.number()}
	}
	for left := d.number(); left > 0 && d.reason == ""; left-- {
		n.used[uint64(d.number())] = d.number()
	}
}

// save writes the notes: blocks in force, resets and used receipts.
func (n *notes) save(e *encoder) {
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
	e.number(int64(len(n.used)))
	for nonce, until := range n.used {
		e.number(int64(nonce))
		e.number(until)
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
	l := Limit{ID: t.id, Units: t.units, Per: time.Duration(t.per), Burst: t.burst, Strategy: dormant{t.strategy, t.words}}
	if s, err := ParseStrategy(t.strategy); err == nil {
		l.Strategy = s
	}
	c, err := l.Compile()
	if err != nil {
		l.Strategy = dormant{t.strategy, t.words}
		c, _ = l.Compile()
	}
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
