package redisstore

import (
	"context"
	"sync"
)

// turns lets one caller of this process at a time compare and set a key, so that those of one process do not spoil each other's
// tries. Callers come to their turn in order.
type turns struct {
	mu   sync.Mutex
	keys map[string]*turn
}

type turn struct {
	free    chan struct{} // holds one token while nobody has the turn
	callers int
}

// take waits for the turns of all keys, which are sorted and different, and returns what gives them back.
func (t *turns) take(ctx context.Context, keys []string) (done func(), err error) {
	held := 0
	done = func() {
		for _, key := range keys[:held] {
			t.leave(key, true)
		}
	}
	for _, key := range keys {
		select {
		case <-t.join(key).free:
			held++
		case <-ctx.Done():
			t.leave(key, false)
			done()
			return nil, ctx.Err()
		}
	}
	return done, nil
}

func (t *turns) join(key string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.keys[key]
	if x == nil {
		x = &turn{free: make(chan struct{}, 1)}
		x.free <- struct{}{}
		if t.keys == nil {
			t.keys = make(map[string]*turn)
		}
		t.keys[key] = x
	}
	x.callers++
	return x
}

func (t *turns) leave(key string, had bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.keys[key]
	if x.callers--; x.callers == 0 {
		delete(t.keys, key)
	} else if had {
		x.free <- struct{}{}
	}
}
