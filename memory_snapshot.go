package stint

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// A snapshot is the store's keys in a file: a head with the seed and the store's instant, the tables with the values of their
// limits and their sketches, the keys that moved between tables meanwhile, the notes, and a SHA-256 of all that. Instants in it are absolute; a store that starts from it begins no earlier
// than it was saved, so a wall clock that stepped back grants nothing. It holds the seed of the hash, so its mode is 0600.
const (
	snapshotMagic   = "stint snapshot\n"
	snapshotVersion = 2

	// What begins each part of the tables and of the moved keys.
	partEnd   = 0
	partTable = 1
	partKey   = 2 // of a moved key: the table's number among those of this part, and the entry
	partGone  = 3 // a moved key that is as good as new
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
	again bool // the last snapshot does not hold all, or may not

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
		if v.needed() {
			err := v.store.Save()
			v.again = v.again || err != nil
			v.mu.Lock()
			v.err = err
			v.mu.Unlock()
		}
		// A snapshot that takes long is written less often: at most a tenth of the time goes into it.
		timer.Reset(max(every, 9*time.Since(began)))
	}
}

// needed says whether anything may have changed that no snapshot holds. The first call after it does the housekeeping, and so
// leaves a mark. One snapshot more is written when nobody has called since the one before, for the sake of calls that were under
// way when that one began.
func (v *saver) needed() bool {
	called := v.store.due.Swap(0) != 0
	needed := called || v.again
	v.again = called
	return needed
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
	watch := m.watchMoves()
	defer m.moves.Store(nil)
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
	e.number(partEnd)
	e.moved(watch, m.earliest(m.now()), m.options.ExactKeys)
	m.notes.save(e, m.earliest(now))
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
	e.tableHead(t)
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

func (e *encoder) tableHead(t *table) {
	l := t.limit
	e.head(l.ID, l.Strategy.Name(), l.Units, int64(l.Per), l.Burst, l.words, t.exact)
}

// moved writes where each key is that has moved since the watch began. What tables say of it does not count.
func (e *encoder) moved(watch *moves, now int64, exact bool) {
	keys, err := watch.end()
	if e.err == nil {
		e.err = err
	}
	numbers := make(map[*table]int64)
	for k := range keys {
		t, x := k.find(now)
		if t == nil {
			e.number(partGone)
			e.text(k.id)
			e.number(int64(k.hash))
			if exact {
				e.text(k.key)
			}
			continue
		}
		if _, known := numbers[t]; !known {
			numbers[t] = int64(len(numbers))
			e.tableHead(t)
		}
		e.number(partKey)
		e.number(numbers[t])
		e.entry(x, t.records, t.cells, t.exact)
	}
	e.number(partEnd)
}

func (e *encoder) head(id, strategy string, units, per, burst int64, words int, exact bool) {
	e.number(partTable)
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
		pairs := x.state.Log.Pairs()
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
		if p.hash.Load() == 0 {
			continue
		}
		if e, live := t.copySlot(p, now); live {
			if t.exact {
				e.key = (*s.keys)[i/t.stride]
			}
			into = append(into, e)
		}
	}
	return into
}

// copySlot copies a slot's key, if it is live. The segment's mutex is held.
func (t *table) copySlot(p *slot, now int64) (entry, bool) {
	word := p.word.Load()
	for word != moved && (word&held != 0 || t.records && !p.word.CompareAndSwap(word, word|held)) {
		runtime.Gosched()
		word = p.word.Load()
	}
	if word == moved {
		return entry{}, false
	}
	e := entry{hash: p.hash.Load(), state: t.state(p, word)}
	e.state = e.state.cloned()
	if t.records {
		p.word.Store(word)
	}
	return e, e.state.A > now<<fractionBits
}
