package stint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A block outlives a restart, on any clock.
func TestMemorySnapshotKeepsBlocks(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "f")
	clock := newManual()
	o := MemoryOptions{SnapshotFile: file, Clock: clock.Load}
	m, _ := NewMemory(o)
	l := newTestLimiter(t, m, PerHour(10))
	l.Block(ctx, "k", time.Hour)
	m.Close()
	m, _ = NewMemory(o)
	if newTestLimiter(t, m, PerHour(10)).Allow("k") {
		t.Error("block lost")
	}
}

// A limit out of the last snapshot that is first used while the next one is written is in it.
func TestMemorySnapshotOfALimitThatComesMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	clock := newManual()
	o := MemoryOptions{SnapshotFile: file, Clock: clock.Load}
	m, _ := NewMemory(o)
	x, y := PerHour(10).WithID("x"), PerHour(10).WithID("y")
	lx := newTestLimiter(t, m, x)
	for k := range 5000 {
		lx.Allow(fmt.Sprint(k))
	}
	newTestLimiter(t, m, y).AllowN("k", 10)
	m.Close()
	m, _ = NewMemory(o)
	newTestLimiter(t, m, x).Allow("k")
	ly := newTestLimiter(t, m, y)
	var snapshot bytes.Buffer
	err := m.writeSnapshot(writer(func(p []byte) (int, error) {
		ly.Allow("k") // while the keys of x are written
		return snapshot.Write(p)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, snapshot.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	m, _ = NewMemory(o)
	if newTestLimiter(t, m, y).Allow("k") {
		t.Error("y was lost")
	}
}

// A restart frees no key that was evicted, and makes no receipt good again.
func TestMemorySnapshotKeepsEvictedKeysAndReceipts(t *testing.T) {
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "f")
	clock := newManual()
	for _, s := range []Strategy{TokenBucket{}, SlidingLog{}} {
		o := MemoryOptions{SnapshotFile: file, Clock: clock.Load, MaxKeys: 200}
		limit := Limit{ID: "x" + s.Name(), Units: 10, Per: time.Hour, Strategy: s}
		m, _ := NewMemory(o)
		l := newTestLimiter(t, m, limit)
		d, _ := l.Take(ctx, "one", 1)
		var used []string
		for k := range 1000 {
			if key := fmt.Sprint(k); l.AllowN(key, 10) {
				used = append(used, key)
			}
		}
		receipt, _ := d.Receipt()
		if _, err := l.Refund(ctx, receipt); err != nil {
			t.Fatal(err)
		}
		m.Close()
		m, _ = NewMemory(o)
		l = newTestLimiter(t, m, limit)
		free := 0
		for _, key := range used {
			if l.Allow(key) {
				free++
			}
		}
		if free > 0 {
			t.Errorf("%s: %d keys free after the restart", s.Name(), free)
		}
		if _, err := l.Refund(ctx, receipt); !errors.Is(err, ErrReceiptUsed) {
			t.Errorf("used receipt: %v", err)
		}
	}
}

// All that was saved comes back also to a store that turns new keys away.
func TestMemorySnapshotBeyondTheBound(t *testing.T) {
	clock := newManual()
	o := MemoryOptions{SnapshotFile: filepath.Join(t.TempDir(), "f"), Clock: clock.Load}
	m, _ := NewMemory(o)
	l := newTestLimiter(t, m, PerHour(10))
	for k := range 3000 {
		l.AllowN(fmt.Sprint(k), 10)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	o.MaxKeys, o.AtBound = 1000, Refuse
	m, _ = NewMemory(o)
	l = newTestLimiter(t, m, PerHour(10))
	for k := range 3000 {
		if d, err := l.Take(context.Background(), fmt.Sprint(k), 1); err != nil || d.Allowed {
			t.Fatalf("key %d: %+v, %v", k, d, err)
		}
	}
}

// A store that nobody calls is not written again and again, and a call is in the next snapshot but for those under way, which are in
// the one after it.
func TestMemorySnapshotRests(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "f")
	synctest.Test(t, func(t *testing.T) {
		m, err := NewMemory(MemoryOptions{SnapshotFile: file, SnapshotEvery: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		l := newTestLimiter(t, m, PerHour(10))
		written := func(after time.Duration) bool {
			_ = os.Remove(file)
			time.Sleep(after)
			synctest.Wait()
			_, err := os.Stat(file)
			return err == nil
		}
		time.Sleep(time.Second / 2) // so that each second from here has one turn of the saver in its middle
		if written(3 * time.Second) {
			t.Error("written before the first call")
		}
		calls := map[string]func(){
			"Allow":     func() { l.Allow("k") },
			"AllowAt":   func() { l.AllowAt("k", 1, l.Now()) },
			"AllowMany": func() { _ = l.AllowMany([]string{"k"}, make([]bool, 1)) },
			"Block":     func() { _ = l.Block(t.Context(), "k", time.Minute) },
			"Reset":     func() { _ = l.Reset(t.Context(), "k") },
			"Credit":    func() { _ = l.Credit(t.Context(), "k", 1) },
		}
		for name, call := range calls {
			call()
			if !written(time.Second) || !written(time.Second) {
				t.Errorf("%s is not in the next two snapshots", name)
			}
			if written(20 * time.Second) {
				t.Errorf("written for nothing after %s", name)
			}
		}
		// An instant from before the snapshot changes a count after it.
		before := l.Now()
		l.Allow("k")
		written(5 * time.Second)
		l.AllowAt("k", 1, before)
		if !written(time.Second) {
			t.Error("AllowAt at an old instant is not in the next snapshot")
		}
		// One that fails is tried again.
		l.Allow("k")
		if err := os.Rename(folder, folder+"-away"); err != nil {
			t.Fatal(err)
		}
		written(5 * time.Second)
		if m.SnapshotErr() == nil {
			t.Error("a snapshot to a folder that is not there is no error")
		}
		if err := os.Rename(folder+"-away", folder); err != nil {
			t.Fatal(err)
		}
		if !written(time.Second) || m.SnapshotErr() != nil {
			t.Error("the next one is not tried")
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
