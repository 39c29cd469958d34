package stint

import (
	"context"
	"testing"
)

func TestTokenBucketFirst(t *testing.T) {
	now := int64(1 << 40)
	m, _ := NewMemory(MemoryOptions{Clock: func() int64 { return now }})
	l, err := NewWith(Options{Store: m}, PerSecond(10).WithBurst(3))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !l.Allow("a") {
			t.Fatal("refused")
		}
	}
	d, err := l.Take(context.Background(), "a", 1)
	if d.Allowed || err != nil || d.RetryAfter.Milliseconds() != 100 {
		t.Fatal(d, err)
	}
}
