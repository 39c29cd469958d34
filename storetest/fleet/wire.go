package fleet

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/stint-go/stint"
)

// ErrNoAnswer is what a process gets that waits too long for the store, as it would from a client of a real one. Whether the store
// did what it was asked is not known.
const ErrNoAnswer stint.Error = "fleet: the store did not answer in time"

// wire is the store as a process sees it, through the network.
type wire struct {
	process *process
	depot   *depot
	faults  *Faults
}

// fate is what becomes of a message and its answer. It depends on the seed and the message alone, and not on the order in which
// messages of one instant are sent, so that a run can be repeated.
type fate struct {
	there, back            time.Duration
	requestLost, replyLost bool
}

func (w *wire) fate(what string) fate {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%s/%d", w.process.seed, w.process.name, what, time.Now().UnixNano())
	random := rand.New(rand.NewPCG(h.Sum64(), w.process.seed))
	f := w.faults
	lose, slow := f.Lose, f.Slow
	if w.depot.calm.Load() {
		lose, slow = 0, 0
	}
	delay := func() time.Duration {
		d := time.Duration(random.Int64N(int64(f.Delay) + 1))
		if random.Float64() < slow {
			d += time.Duration(random.Int64N(int64(f.SlowBy) + 1))
		}
		return d
	}
	return fate{
		there: delay(), back: delay(),
		requestLost: random.Float64() < lose, replyLost: random.Float64() < lose,
	}
}

type reply struct {
	records []*record
	err     error
}

// ask sends a request and waits for its reply. What is under way is not stopped by the process's end or impatience.
func (w *wire) ask(ctx context.Context, what string, do func(m *stint.Memory) ([]*record, error)) ([]*record, error) {
	if w.process.dead() {
		return nil, ErrNoAnswer
	}
	f := w.fate(what)
	replies := make(chan reply, 1)
	w.depot.messages.Go(func() {
		time.Sleep(f.there)
		if f.requestLost || w.cut() {
			return
		}
		records, err := w.depot.do(do)
		time.Sleep(f.back)
		if f.replyLost || w.cut() {
			return
		}
		replies <- reply{records, err}
	})
	patience := time.NewTimer(w.faults.Patience)
	defer patience.Stop()
	select {
	case r := <-replies:
		if w.process.dead() {
			return nil, ErrNoAnswer
		}
		w.depot.reached(r.records)
		return r.records, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.process.crashed:
	case <-patience.C:
	}
	return nil, ErrNoAnswer
}

// cut says whether nothing passes between the process and the store now.
func (w *wire) cut() bool {
	since := time.Since(w.process.born)
	for _, p := range w.faults.Partitions {
		if p.process == w.process.number && since >= p.from && since < p.to {
			return true
		}
	}
	return false
}

// One implements [stint.Store].
func (w *wire) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	records, err := w.ask(ctx, fmt.Sprint("one", key, op), func(m *stint.Memory) ([]*record, error) {
		a, mark, err := m.One(context.Background(), l, key, op)
		return []*record{{by: w.process, limit: l, key: key, at: mark.At(), op: op, answer: a}}, err
	})
	if err != nil {
		return stint.Answer{}, 0, err
	}
	return records[0].answer, stint.NewMark(records[0].at), nil
}

// Refund implements [stint.Store].
func (w *wire) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	records, err := w.ask(ctx, fmt.Sprint("refund", key, op), func(m *stint.Memory) ([]*record, error) {
		a, mark, err := m.Refund(context.Background(), l, key, op, nonce)
		return []*record{{by: w.process, limit: l, key: key, at: mark.At(), op: op, answer: a}}, err
	})
	if err != nil {
		return stint.Answer{}, 0, err
	}
	return records[0].answer, stint.NewMark(records[0].at), nil
}

// All implements [stint.Store].
func (w *wire) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	return w.several(ctx, claims, into, true)
}

// Many implements [stint.Store].
func (w *wire) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	return w.several(ctx, claims, into, false)
}

func (w *wire) several(ctx context.Context, claims []stint.Claim, into []stint.Outcome, together bool) error {
	asked := append([]stint.Claim(nil), claims...) // the caller may be gone when they are read
	outcomes := make([]stint.Outcome, len(asked))
	_, err := w.ask(ctx, fmt.Sprint("several", together, len(asked), asked[0].Key), func(m *stint.Memory) ([]*record, error) {
		ctx := context.Background()
		var err error
		if together {
			err = m.All(ctx, asked, outcomes)
		} else {
			err = m.Many(ctx, asked, outcomes)
		}
		var records []*record
		granted := err == nil
		for i := range asked {
			granted = granted && (!together || outcomes[i].Granted >= asked[i].Op.Min)
		}
		for i := range asked {
			c, o := asked[i], outcomes[i]
			if granted {
				records = append(records, &record{by: w.process, limit: c.Limit, key: c.Key, at: o.Mark.At(), op: c.Op, answer: o.Answer})
			}
		}
		return records, err
	})
	if err == nil {
		copy(into, outcomes)
	}
	return err
}

// Block implements [stint.Store].
func (w *wire) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	_, err := w.ask(ctx, fmt.Sprint("block", key, d), func(m *stint.Memory) ([]*record, error) {
		return nil, m.Block(context.Background(), l, key, d)
	})
	return err
}

// Close implements [stint.Store]. The store goes on without the process.
func (w *wire) Close() error { return nil }
