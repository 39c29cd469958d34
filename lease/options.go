package lease

import (
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// Options are the options of a store of leases. The zero value is ready to use.
type Options struct {
	// Life is how long the units of a lease may be spent, counted from when the store was asked for them: the E of the bound. A
	// longer life asks less often and holds units longer. From a millisecond to an hour. Default: one second.
	Life time.Duration

	// MaxBlock bounds the units that the process holds of one key. A call that costs more goes straight to the store. Default:
	// 1,000.
	MaxBlock int64

	// Blocks says which limits are leased at all, by ID, and the units that the process holds of one of their keys at most, in place of
	// MaxBlock; calls under all others, and under strategies that cannot be leased, go straight to the store. It can be changed later:
	// see [Store.SetBlocks]. Default (nil): all that can be are leased, and Others says what becomes of the rest.
	Blocks map[string]int64

	// MaxKeys bounds the keys that have a lease, of all limits together; calls on other keys go straight to the store. Each takes
	// about 300 bytes and the key. Default: 16,384.
	MaxKeys int

	// Others says what happens to a limit whose strategy cannot be leased within a bound. Default: Refuse.
	Others Others

	// CloseWithin bounds how long Close takes to give the units back. Default: one second.
	CloseWithin time.Duration

	// Clock replaces the process's monotonic clock, for tests: it returns an instant in ticks, from any goroutine. Only differences
	// count. Default: monotonic time.
	Clock func() int64
}

// Others is what a store of leases does with limits whose strategy cannot be leased.
type Others uint8

// The choices for other strategies.
const (
	// Refuse returns a [stint.LimitError] for every call under such a limit, from the first on, that says what to choose instead.
	Refuse Others = iota
	// PassThrough lets such calls through to the store, one by one.
	PassThrough
)

const (
	defaultLife     = time.Second
	defaultMaxBlock = 1000
	defaultMaxKeys  = 16_384
	defaultClose    = time.Second

	leastLife, mostLife = time.Millisecond, time.Hour
	mostBlock           = int64(1) << 40
	mostKeys            = 1 << 24
)

func (o *Options) validate() error {
	if o.Life < 0 || o.MaxBlock < 0 || o.MaxKeys < 0 || o.CloseWithin < 0 {
		return fmt.Errorf("lease: options: a bound is negative (Life %v, MaxBlock %d, MaxKeys %d, CloseWithin %v)", o.Life, o.MaxBlock, o.MaxKeys, o.CloseWithin)
	}
	if o.Others > PassThrough {
		return fmt.Errorf("lease: options: unknown Others %d", o.Others)
	}
	if o.Life == 0 {
		o.Life = defaultLife
	}
	if o.MaxBlock == 0 {
		o.MaxBlock = defaultMaxBlock
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	if o.CloseWithin == 0 {
		o.CloseWithin = defaultClose
	}
	if err := checkBlocks(o.Blocks); err != nil {
		return err
	}
	switch {
	case o.Life < leastLife || o.Life > mostLife:
		return fmt.Errorf("lease: options: Life %v: must be from %v to %v", o.Life, leastLife, mostLife)
	case o.MaxBlock > mostBlock || o.MaxKeys > mostKeys:
		return fmt.Errorf("lease: options: MaxBlock %d, MaxKeys %d: at most %d and %d", o.MaxBlock, o.MaxKeys, mostBlock, mostKeys)
	}
	return nil
}

// now is the process's instant in nanoseconds; only differences count.
func (s *Store) now() int64 {
	if s.options.Clock != nil {
		return s.options.Clock() * int64(stint.Tick)
	}
	return int64(time.Since(s.base))
}

func checkBlocks(blocks map[string]int64) error {
	for id, most := range blocks {
		if most < 1 || most > mostBlock {
			return fmt.Errorf("lease: options: Blocks: %d units of the limit %q: must be from 1 to %d", most, id, mostBlock)
		}
	}
	return nil
}
