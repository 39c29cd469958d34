package deny

import (
	"fmt"
	"time"
)

// Options are the options of a store that remembers refusals. The zero value is ready to use.
type Options struct {
	// TTL bounds how long a refusal is remembered, and so how much too long a key may be refused that got room elsewhere.
	// Default: 1 second.
	TTL time.Duration

	// MaxKeys is about how many refusals are remembered, rounded up to a power of two. Default: 65,536.
	MaxKeys int

	// Clock replaces the machine's clock, for tests: it returns the instant in ticks, from any goroutine. Default: monotonic time.
	Clock func() int64
}

const (
	defaultTTL     = time.Second
	defaultMaxKeys = 1 << 16
	mostKeys       = 1 << 28
	maxTTL         = time.Hour
)

func (o *Options) validate() error {
	if o.TTL < 0 || o.TTL > maxTTL || o.MaxKeys < 0 || o.MaxKeys > mostKeys {
		return fmt.Errorf("deny: options: a bound is out of range (TTL %v of at most %v, MaxKeys %d of at most %d)", o.TTL, maxTTL, o.MaxKeys, mostKeys)
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = defaultMaxKeys
	}
	return nil
}
