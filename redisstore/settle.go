package redisstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/stint-go/stint"
)

// write is what becomes of a key that holds was.
type write struct {
	was, becomes string
	ms           int64
}

// unchanged leaves a key as it is, but sees to it that it is so.
func unchanged(was string) write { return write{was: was, becomes: was} }

const (
	maxTries  = 64
	longPause = 10 * time.Millisecond
)

// settle reads keys of one slot, has Go decide, and writes what comes of it if the keys are still the same; else it tries again,
// after a pause of random length that grows with the tries. Nothing is written where decide says nothing.
func (s *Store) settle(ctx context.Context, keys []string, decide func(now int64, held []string) ([]write, error)) error {
	s.stats.byGo.Add(1)
	sorted := slices.Sorted(slices.Values(keys))
	done, err := s.turns.take(ctx, sorted)
	if err != nil {
		return fmt.Errorf("%w: %w", stint.ErrContention, err)
	}
	defer done()
	for try := range maxTries {
		if try > 0 && !sleep(ctx, rand.N(min(time.Duration(try)*200*time.Microsecond, longPause))) {
			break
		}
		now, held, err := s.read(ctx, keys)
		if err != nil {
			return err
		}
		writes, err := decide(now, held)
		if err != nil || writes == nil {
			return err
		}
		for i := range writes {
			writes[i].was = held[i]
		}
		written, err := s.swap(ctx, keys, writes)
		if err != nil || written {
			return err
		}
		s.stats.again.Add(1)
	}
	return stint.ErrContention
}

// read reads keys of one slot at one instant.
func (s *Store) read(ctx context.Context, keys []string) (now int64, held []string, err error) {
	c := &call{script: readScript, keys: keys, args: []any{s.clock()}}
	s.link.run(ctx, c)
	return c.records()
}

// records are what a call of the script that reads answered.
func (c *call) records() (now int64, held []string, err error) {
	list, err := c.list(1 + len(c.keys))
	if err != nil {
		return 0, nil, err
	}
	at, ok := list[0].(string)
	if now, err = strconv.ParseInt(at, 10, 64); !ok || err != nil {
		return 0, nil, ErrAnswer
	}
	if now < 0 || now > stint.MaxInstant {
		return 0, nil, stint.ErrClock
	}
	held = make([]string, len(c.keys))
	for i, element := range list[1:] {
		switch v := element.(type) {
		case nil:
		case string:
			if held[i] = v; v == "" {
				return 0, nil, ErrForeign
			}
		default:
			return 0, nil, ErrForeign
		}
	}
	return now, held, nil
}

// swap writes all or none.
func (s *Store) swap(ctx context.Context, keys []string, writes []write) (bool, error) {
	c := &call{script: swapScript, keys: keys, args: []any{"a"}}
	for _, w := range writes {
		c.args = append(c.args, w.was, w.becomes, w.ms)
	}
	s.link.run(ctx, c)
	text, err := c.marks(len(keys))
	return err == nil && text[0] == '1', err
}
