package limittest

import (
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
)

// Start is the instant at which a Clock begins, in ticks: midnight UTC on Monday, 1 January 2024. It is the edge of a second,
// a minute, an hour, a day, a week, a month and a year at once.
var Start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// Clock is a clock that moves only when it is told to. Give its Now to a store as [stint.MemoryOptions].Clock. It is safe for
// concurrent use. The zero Clock stands at Start.
type Clock struct{ since atomic.Int64 }

// Now is the instant that the clock shows, in ticks since the Unix epoch.
func (c *Clock) Now() int64 { return Start + c.since.Load() }

// Advance moves the clock by so many ticks; backwards if they are negative.
func (c *Clock) Advance(ticks int64) { c.since.Add(ticks) }

// pass is Advance on a clock, and nothing on the store's own, which goes on by itself.
func (c *Clock) pass(ticks int64) {
	if c != nil {
		c.Advance(ticks)
	}
}

// Set moves the clock to an instant.
func (c *Clock) Set(at int64) { c.since.Store(at - Start) }

// ticks is a duration in ticks, which must be whole.
func ticks(d time.Duration) int64 { return int64(d / stint.Tick) }
