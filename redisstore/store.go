package redisstore

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// Store keeps the counts in Redis. Make one with [Open] or [New]. It implements [stint.Store] and is safe for concurrent use.
type Store struct {
	link    *link
	options Options
	own     bool // the client is closed with the store
	closed  atomic.Bool
	turns   turns
	guess   func() int64 // about the time, in ticks: this machine's
	plans   sync.Map     // *stint.Limit → *plan
	planned atomic.Int64
	values  atomic.Pointer[registered]
	stats   stats
}

// Stats is what a store has done since it was made.
type Stats struct {
	ByScript int64 // keys of calls that the script decided
	ByGo     int64 // keys or calls that were compared and set, because there is no exact transcription of what was asked of them
	Again    int64 // tries to set that came to nothing, because somebody else wrote the key meanwhile
	Late     int64 // answers for which fewer replicas had what was written than Options.Replicas, in time
}

type stats struct{ byScript, byGo, again atomic.Int64 }

// Stats is what the store has done.
func (s *Store) Stats() Stats {
	return Stats{s.stats.byScript.Load(), s.stats.byGo.Load(), s.stats.again.Load(), s.link.late.Load()}
}

// maxPlans bounds the limits that are remembered; past it all are worked out again.
const maxPlans = 1 << 12

// plan is what the scripts need to know of the limit.
func (s *Store) plan(l *stint.Limit) *plan {
	if p, known := s.plans.Load(l); known {
		return p.(*plan)
	}
	if s.planned.Add(1) > maxPlans {
		s.plans.Clear()
		s.planned.Store(1)
	}
	p := newPlan(l)
	s.plans.Store(l, p)
	return p
}

// clock is the instant as scripts take it: empty for the server's own.
func (s *Store) clock() string {
	if s.options.Clock == nil {
		return ""
	}
	return strconv.FormatInt(s.options.Clock(), 10)
}

// slack is how much longer keys are kept, in milliseconds: a clock that is not the server's may stand still.
func (s *Store) slack() int64 {
	if s.options.Clock == nil {
		return 0
	}
	return time.Hour.Milliseconds()
}

// begin is what every call begins with.
func (s *Store) begin(ctx context.Context, limits ...*stint.Limit) error {
	if s.closed.Load() {
		return stint.ErrClosed
	}
	r := s.registry()
	for _, l := range limits {
		if err := r.Register(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// Refund implements [stint.Store].
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	if err := s.begin(ctx, l); err != nil {
		return stint.Answer{}, 0, err
	}
	p := s.plan(l)
	keys := []string{recordKey(l.ID, key)}
	if nonce != 0 {
		keys = append(keys, receiptKey(l.ID, key, nonce))
	}
	var o stint.Outcome
	err := s.settle(ctx, keys, func(now int64, held []string) ([]write, error) {
		r, err := parse(held[0])
		if err != nil {
			return nil, err
		}
		if nonce != 0 && held[1] != "" {
			return nil, stint.ErrReceiptUsed
		}
		if o = (stint.Outcome{Mark: stint.NewMark(now)}); !r.Worth(l, op.Wait, now) {
			return nil, nil
		}
		var changed bool
		if o, changed = r.Step(l, now, op, s.earlier(ctx)); o.Err != nil {
			return nil, o.Err
		}
		writes := make([]write, len(keys))
		if writes[0] = unchanged(held[0]); changed {
			writes[0].becomes, writes[0].ms = p.format(&r, now, s.slack())
		}
		if nonce != 0 {
			writes[1] = write{becomes: "1", ms: kept(record.Void(l, op.Wait), now) + s.slack()}
		}
		return writes, nil
	})
	return o.Answer, o.Mark, err
}

// Block implements [stint.Store].
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	ctx, cancel := s.link.bounded(ctx)
	defer cancel()
	if err := s.begin(ctx, l); err != nil {
		return err
	}
	p := s.plan(l)
	ticks := min((int64(d)+int64(stint.Tick)-1)/int64(stint.Tick), maxFill)
	return s.settle(ctx, []string{recordKey(l.ID, key)}, func(now int64, held []string) ([]write, error) {
		r, err := parse(held[0])
		if err != nil || !r.Block(now, now+ticks) {
			return nil, err
		}
		w := unchanged(held[0])
		w.becomes, w.ms = p.format(&r, now, s.slack())
		return []write{w}, nil
	})
}

// Close implements [stint.Store]. It closes the client that [Open] made; a client that was given to [New] stays open.
func (s *Store) Close() error {
	if s.closed.Swap(true) || !s.own {
		return nil
	}
	return s.link.client.Close()
}
