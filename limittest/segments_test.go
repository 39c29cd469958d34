package limittest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/limittest"
)

// segments is a sliding window that moves on by a whole segment at a time, as many of a window as it says: the log, looking at a
// clock that stands still within a segment. A strategy of one's own can be that small.
type segments int64

func (n segments) Name() string                       { return fmt.Sprintf("sliding-window-%d-segments", int64(n)) }
func (segments) Words(l *stint.Limit) int             { return stint.SlidingLog{}.Words(l) }
func (segments) Compile(l *stint.Limit) error         { return stint.SlidingLog{}.Compile(l) }
func (n segments) edge(l *stint.Limit, t int64) int64 { return t - t%max(1, l.Ticks()/int64(n)) }

func (n segments) Apply(s stint.State, l *stint.Limit, now int64, op stint.Op) (stint.State, stint.Answer) {
	edge := n.edge(l, now)
	if op.Kind() == stint.Refund {
		op.Wait = n.edge(l, op.Wait)
	}
	s, a := stint.SlidingLog{}.Apply(s, l, edge, op)
	if a.Wait > 0 && a.Wait < stint.Forever {
		a.Wait -= now - edge
	}
	if a.Reset > 0 {
		a.Reset -= now - edge
	}
	return s, a
}

func TestSegments(t *testing.T) {
	limits := []stint.Limit{stint.PerSecond(10), stint.PerMinute(3), stint.PerHour(100), {Units: 5, Per: 12 * time.Millisecond}}
	model := func(l *stint.Limit) limittest.Model { return &segmentModel{l, limittest.NewModel(logOf(l))} }
	o := limittest.StrategyOptions{
		Limits: limits, Model: model,
		NeverOver: func(l *stint.Limit, events []limittest.Event) error {
			return limittest.NeverOver(segmentsShorter(l), events)
		},
	}
	limittest.StrategyWith(t, o, segments(4))
}

// logOf is the limit counted by the log, and segmentsShorter the same over a window that is a segment shorter, which is what
// segments promise.
func logOf(l *stint.Limit) *stint.Limit { return must(l.WithStrategy(stint.SlidingLog{}).Compile()) }

func segmentsShorter(l *stint.Limit) *stint.Limit {
	c := l.WithStrategy(stint.SlidingLog{})
	c.Per -= c.Per / 4
	return must(c.Compile())
}

func must(l *stint.Limit, err error) *stint.Limit {
	if err != nil {
		panic(err)
	}
	return l
}

// segmentModel is the log's exact model on the clock of the segments.
type segmentModel struct {
	limit *stint.Limit
	log   limittest.Model
}

func (m *segmentModel) Clone() limittest.Model { return &segmentModel{m.limit, m.log.Clone()} }

func (m *segmentModel) Apply(now int64, op stint.Op) stint.Answer {
	long := m.limit.Ticks() / 4
	if op.Kind() == stint.Refund {
		op.Wait -= op.Wait % long
	}
	a := m.log.Apply(now-now%long, op)
	if a.Wait > 0 && a.Wait < stint.Forever {
		a.Wait -= now % long
	}
	if a.Reset > 0 {
		a.Reset -= now % long
	}
	return a
}
