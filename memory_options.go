package stint

import (
	"fmt"
	"time"
)

// MemoryOptions are the options of a memory store. The zero value is ready to use.
type MemoryOptions struct {
	// MaxKeys bounds the keys that are kept, of all limits together. Default: 10 million. Each limit may keep its first few
	// hundred keys whatever the bound.
	MaxKeys int64

	// MaxBytes bounds the memory of the keys. Default: none but MaxKeys.
	MaxBytes int64

	// AtBound says what happens when a new key comes and no other can be forgotten. Default: Sketch.
	AtBound Bound

	// ExactKeys keeps the bytes of every key and compares them, for about 100 bytes a key and twice the time. Default: keys are
	// known by their hash.
	ExactKeys bool

	// SnapshotFile is where the counts are saved, so that a restart is not a free refill: read at the start, if it is there, and
	// written every SnapshotEvery and by Close. It is written whole, 16 bytes a key of a one-word strategy, to a file beside it that
	// then takes its place. A damaged file is refused. Default: none.
	SnapshotFile string

	// SnapshotEvery is how often the snapshot is written while calls come; less often where it takes more than a tenth of that
	// time. What was granted since the last one is forgotten when the process is killed. Default: 10 seconds. Conflicts with no
	// SnapshotFile.
	SnapshotEvery time.Duration

	// Clock replaces the machine's clock, for tests: it returns the instant in ticks since the Unix epoch, from any goroutine.
	// Default: the wall clock read once, and monotonic time since then.
	Clock func() int64
}

// Bound is what a memory store does with a new key at its bound.
type Bound uint8

// The choices at the bound.
const (
	// Sketch forgets the key nearest to full, but not what it has used: that goes into a sketch of fixed size, and a key that is
	// not found begins from the sketch's upper bound. No key is ever granted more than its limit, whatever flood of new keys
	// comes; a new one may be granted less, and its decisions say so (Decision.Approximate).
	Sketch Bound = iota
	// Refuse turns new keys away with ErrFull. A flood then locks newcomers out.
	Refuse
	// Evict forgets the key nearest to full for good: it can begin anew, which breaks the limit's promise under a flood.
	Evict
)

const (
	defaultMaxKeys       = 10_000_000
	defaultSnapshotEvery = 10 * time.Second
	closedFlag           = int64(1) << 62
	maxVariants          = 64
)

func (o *MemoryOptions) validate() error {
	if o.MaxKeys < 0 || o.MaxBytes < 0 || o.SnapshotEvery < 0 {
		return fmt.Errorf("stint: memory options: a bound is negative (MaxKeys %d, MaxBytes %d, SnapshotEvery %v)", o.MaxKeys, o.MaxBytes, o.SnapshotEvery)
	}
	if o.SnapshotEvery > 0 && o.SnapshotFile == "" {
		return fmt.Errorf("stint: memory options: SnapshotEvery %v without a SnapshotFile", o.SnapshotEvery)
	}
	if o.AtBound > Evict {
		return fmt.Errorf("stint: memory options: unknown AtBound %d", o.AtBound)
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = defaultSnapshotEvery
	}
	return nil
}
