package httplimit

import (
	"context"
	"net/http"

	"github.com/stint-go/stint"
)

// exchange is one request on its way through a door: the call it makes, the decision it got, and the response. All in one
// piece of memory, since every request needs one. It is also the context that the decision travels in.
type exchange struct {
	context.Context
	call     Call
	decision [1]stint.Decision // the strictest; an array, so that report.Decisions can be a slice of it
	report   Report
	writer   writer
}

// decisionKey is what an exchange is found by in a context.
type decisionKey struct{}

// Value adds the exchange itself to the values of the request's context.
func (x *exchange) Value(key any) any {
	if key == (decisionKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// DecisionFrom is the decision on the request whose context this is; false if none was made. Behind several handlers of this
// package it is the strictest.
func DecisionFrom(ctx context.Context) (stint.Decision, bool) {
	x, ok := ctx.Value(decisionKey{}).(*exchange)
	if !ok {
		return stint.Decision{}, false
	}
	strictest := &x.decision[0]
	for x, ok = x.Context.Value(decisionKey{}).(*exchange); ok; x, ok = x.Context.Value(decisionKey{}).(*exchange) {
		if x.decision[0].Stricter(strictest) {
			strictest = &x.decision[0]
		}
	}
	return *strictest, true
}

// DecisionsFrom are the decisions of all limits on the request whose context this is, but unlimited ones, those of the innermost
// handler first.
func DecisionsFrom(ctx context.Context) []stint.Decision {
	var all []stint.Decision
	for x, ok := ctx.Value(decisionKey{}).(*exchange); ok; x, ok = x.Context.Value(decisionKey{}).(*exchange) {
		all = append(all, x.report.Decisions...)
	}
	return all
}

// decidedBy notes the decision of a call on one limit.
func (x *exchange) decidedBy(d stint.Decision) {
	x.decision[0] = d
	if tells(&d) {
		x.report.Decisions = x.decision[:]
	}
}

// decidedByAll notes the decisions of a call on several limits, and the strictest.
func (x *exchange) decidedByAll(strictest stint.Decision, decisions []stint.Decision) {
	x.decision[0] = strictest
	x.report.Decisions = telling(decisions)
}

// charge settles what a request cost, once the response is known.
type charge struct {
	reservation *stint.Reservation
	reserved    int64                                                      // what the request costs unless the response says something else
	cost        func(reserved int64, status int, header http.Header) int64 // nil: what was reserved
	slots       bool                                                       // some limits count slots held, which are free again now, whatever the cost
	failed      func(r *http.Request, err error)
}

// pass lets the request through to next. What it cost is settled afterwards if c is not nil.
func (x *exchange) pass(next http.Handler, w http.ResponseWriter, r *http.Request, c *charge) {
	r = r.WithContext(x)
	quiet := len(x.report.Decisions) == 0 || len(x.report.renderer.answers.Headers) == 0 && x.report.renderer.expose == ""
	if !quiet && x.report.renderer.answers.DirectWriter {
		x.report.renderer.write(w.Header(), &x.report)
		quiet = true
	}
	if quiet && c == nil {
		next.ServeHTTP(w, r)
		return
	}
	x.writer = writer{ResponseWriter: w}
	if !quiet {
		x.writer.exchange = x
	}
	returned := false
	defer func() {
		if !returned && x.writer.status == 0 {
			x.writer.begin(http.StatusInternalServerError) // next panicked, and whoever recovers will most likely say so
		}
		x.writer.finish()
		if c != nil {
			x.settle(w.Header(), r, c)
		}
	}()
	next.ServeHTTP(x.writer.asCapable(), r)
	returned = true
}

// settle charges what the request cost in the end. It does so even if the client has left.
func (x *exchange) settle(h http.Header, r *http.Request, c *charge) {
	cost := c.reserved
	if c.cost != nil {
		cost = c.cost(c.reserved, int(x.writer.status), h)
	}
	if cost == c.reservation.Decision.Granted && !c.slots {
		return
	}
	err := c.reservation.CommitEach(context.WithoutCancel(x.Context), func(l *stint.Limit, _ int64) int64 {
		if c.slots && l.Strategy.Name() == concurrency {
			return 0
		}
		return cost
	})
	if err != nil && c.failed != nil {
		c.failed(r, err)
	}
}

// refuse answers the request with the refusal.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request, f *Refusal) {
	renderer := x.report.renderer
	a := &renderer.answers
	h := w.Header()
	values := &[...]string{"no-store", "nosniff", "", ""}
	h["Cache-Control"] = values[0:1:1]
	wait := f.RetryAfter
	if f.Decision.RetryAfter == stint.Unknown && wait == 0 && a.RetryUnknown > 0 {
		wait = stint.Seconds(a.RetryUnknown) + renderer.jitter()
	}
	if wait > 0 && !asksLonger(h, wait) {
		values[3] = f.told.of(wait)
		h["Retry-After"] = values[3:4:4]
	}
	renderer.write(h, &x.report)
	if a.OnLimit != nil {
		x.writer = writer{ResponseWriter: w, implicit: int32(f.Status)}
		a.OnLimit.ServeHTTP(x.writer.asCapable(), r.WithContext(x))
		x.writer.finish()
		return
	}
	body := chooseBody(a.Bodies, r.Header["Accept"])
	values[2] = body.MediaType()
	h["X-Content-Type-Options"], h["Content-Type"] = values[1:2:2], values[2:3:3]
	delete(h, "Content-Length")
	w.WriteHeader(f.Status)
	buffer := renderer.buffers.Get().(*[]byte)
	*buffer = body.Append((*buffer)[:0], f)
	_, _ = w.Write(*buffer) // a client that has left needs no answer
	if cap(*buffer) <= maxBuffer {
		renderer.buffers.Put(buffer)
	}
}

// maxBuffer bounds the buffers that are kept for the next body.
const maxBuffer = 8 << 10
