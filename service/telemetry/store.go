package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/stint-go/stint"
)

// Store is a shared store whose calls are measured and traced. Close closes the store.
type Store struct {
	stint.Store
	metrics *Metrics
	tracer  trace.Tracer
}

// NewStore measures a store's calls. A tracer that samples nothing costs little.
func NewStore(s stint.Store, m *Metrics, t trace.Tracer) *Store { return &Store{s, m, t} }

// begin begins a call; end ends it.
func (s *Store) begin(ctx context.Context, operation string, claims int) (context.Context, func(error)) {
	begun := time.Now()
	var span trace.Span
	if trace.SpanFromContext(ctx).IsRecording() {
		ctx, span = s.tracer.Start(ctx, "stint.store."+operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.Int("stint.claims", claims)))
	}
	return ctx, func(err error) {
		s.metrics.call(operation, begun, err)
		if span == nil {
			return
		}
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// One does one operation.
func (s *Store) One(ctx context.Context, l *stint.Limit, key string, op stint.Op) (stint.Answer, stint.Mark, error) {
	ctx, end := s.begin(ctx, "one", 1)
	a, m, err := s.Store.One(ctx, l, key, op)
	end(err)
	return a, m, err
}

// All does the operations of all claims or none.
func (s *Store) All(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	ctx, end := s.begin(ctx, "all", len(claims))
	err := s.Store.All(ctx, claims, into)
	end(err)
	return err
}

// Many does the claims one by one.
func (s *Store) Many(ctx context.Context, claims []stint.Claim, into []stint.Outcome) error {
	ctx, end := s.begin(ctx, "many", len(claims))
	err := s.Store.Many(ctx, claims, into)
	end(err)
	return err
}

// Refund does a refund.
func (s *Store) Refund(ctx context.Context, l *stint.Limit, key string, op stint.Op, nonce uint64) (stint.Answer, stint.Mark, error) {
	ctx, end := s.begin(ctx, "refund", 1)
	a, m, err := s.Store.Refund(ctx, l, key, op, nonce)
	end(err)
	return a, m, err
}

// Block refuses a key for a time.
func (s *Store) Block(ctx context.Context, l *stint.Limit, key string, d time.Duration) error {
	ctx, end := s.begin(ctx, "block", 1)
	err := s.Store.Block(ctx, l, key, d)
	end(err)
	return err
}
