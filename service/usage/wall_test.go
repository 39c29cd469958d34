package usage

import (
	"context"
	"testing"
	"time"
)

// A machine that was put to sleep, or whose clock was put right, counts in the right second again after the next writing.
func TestWall(t *testing.T) {
	r := &Recorder{}
	behind := time.Now().Add(-time.Hour)
	r.wall.set.Store(&behind)
	r.pending.cells = map[cell]Counts{}
	early := behind.Round(0) // the reading of the monotonic clock is gone, as after a sleep
	r.wall.set.Store(&early)
	if err := r.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if off := time.Since(r.wall.now()); off.Abs() > time.Minute {
		t.Errorf("the clock is off by %v", off)
	}
}
