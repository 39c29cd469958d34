package httplimit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stint-go/stint"
)

// Answers say how clients are told: in which headers, and in which words. The zero value sends the headers of [IETF] and
// refuses in plain text.
type Answers struct {
	// Headers are the dialects in which every response says what is left. [NoHeaders] alone switches them off. A refusal has a
	// Retry-After in any case. Default: IETF.
	Headers []Dialect

	// ExposeHeaders names those headers in Access-Control-Expose-Headers, so that scripts of other origins can read them.
	ExposeHeaders bool

	// Bodies are the representations of a refusal, of which the request's Accept header chooses one; of equals the first.
	// Default: Text alone.
	Bodies []Body

	// OnLimit answers every refusal in place of Bodies. It finds the decision by [DecisionFrom] and the headers set already,
	// which it may change; a status that it does not set itself is the one that Bodies would have had.
	OnLimit http.Handler

	// RetryUnknown is the Retry-After of a refusal of which nobody knows when it ends, the store being lost. Default: none.
	RetryUnknown time.Duration

	// Jitter lengthens each Retry-After by a random time of at most this, in whole seconds, so that refused clients do not all
	// come back at once. Default: none.
	Jitter time.Duration

	// DirectWriter says that the handlers behind set no headers of these dialects. Their ResponseWriter is then handed on as it
	// is, with the headers set already, which saves some time. By default it is wrapped (with Unwrap, Flush, Hijack, Push and
	// ReadFrom kept), and what a handler or an upstream has set is merged: it can get stricter, never looser.
	DirectWriter bool
}

func (a *Answers) validate() error {
	switch {
	case a.RetryUnknown < 0:
		return fmt.Errorf("httplimit: RetryUnknown %v: must be 0 or more", a.RetryUnknown)
	case a.Jitter < 0 || a.Jitter > 0 && a.Jitter < time.Second:
		return fmt.Errorf("httplimit: Jitter %v: must be 0, or a second or more", a.Jitter)
	case a.OnLimit != nil && len(a.Bodies) > 0:
		return errors.New("httplimit: both OnLimit and Bodies are set; OnLimit answers alone, drop one")
	}
	fields := map[string]Dialect{}
	for _, d := range a.Headers {
		if d == nil {
			return errors.New("httplimit: a dialect in Headers is nil")
		}
		for _, name := range d.Fields() {
			if name != http.CanonicalHeaderKey(name) {
				return fmt.Errorf("httplimit: dialect %s writes %q: give canonical names, %q", d, name, http.CanonicalHeaderKey(name))
			}
			if other := fields[name]; other != nil {
				return fmt.Errorf("httplimit: dialects %s and %s both write %s; take one", other, d, name)
			}
			fields[name] = d
		}
	}
	for _, b := range a.Bodies {
		if b == nil {
			return errors.New("httplimit: a body in Bodies is nil")
		}
		if kind, subkind, ok := strings.Cut(b.MediaType(), "/"); !ok || kind == "" || subkind == "" {
			return fmt.Errorf("httplimit: body %T has the media type %q: give one like text/html", b, b.MediaType())
		}
	}
	return nil
}

// A Renderer makes answers out of decisions. It is what the handlers of this package use, for doors that decide by
// themselves. Safe for concurrent use.
type Renderer struct {
	answers Answers
	labels  labels
	expose  string
	buffers sync.Pool // of *[]byte, for bodies
}

// NewRenderer checks the answers and makes their renderer.
func NewRenderer(a Answers) (*Renderer, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	if a.Headers == nil {
		a.Headers = []Dialect{IETF{}}
	}
	a.Headers = slices.DeleteFunc(slices.Clone(a.Headers), func(d Dialect) bool { return len(d.Fields()) == 0 })
	a.Bodies = slices.Clone(a.Bodies)
	if len(a.Bodies) == 0 {
		a.Bodies = []Body{Text{}}
	}
	e := &Renderer{answers: a}
	e.buffers.New = func() any { return new([]byte) }
	if a.ExposeHeaders {
		names := []string{"Retry-After"}
		for _, d := range a.Headers {
			names = append(names, d.Fields()...)
		}
		e.expose = strings.Join(names, ", ")
	}
	return e, nil
}

// WriteHeaders says in the header what the decisions leave, in every dialect. Decisions by no limit, by an unlimited one, or
// refused because the store is lost, say nothing. key is who was counted, empty if the limits count by different keys.
func (e *Renderer) WriteHeaders(h http.Header, key string, decisions []stint.Decision) {
	e.write(h, &Report{Decisions: telling(decisions), Key: key})
}

// telling are the decisions that clients are told of: those by a limit, and not by one that admits everything.
func telling(decisions []stint.Decision) []stint.Decision {
	for i := range decisions {
		if !tells(&decisions[i]) {
			return slices.DeleteFunc(slices.Clone(decisions), func(d stint.Decision) bool { return !tells(&d) })
		}
	}
	return decisions
}

func tells(d *stint.Decision) bool {
	return d.By != nil && d.Limit != math.MaxInt64 && !unasked(d) && !candidate(d.By)
}

// unasked says that the store is lost and nothing was put in its place, so that nobody knows what is left. In shadow such a call
// passes.
func unasked(d *stint.Decision) bool {
	return d.Reason == stint.Degraded && (d.RetryAfter == stint.Unknown || d.Allowed && d.Granted == 0 && d.Remaining == 0)
}

// write is WriteHeaders with the report made; its decisions are telling ones.
func (e *Renderer) write(h http.Header, r *Report) {
	if e.expose != "" {
		r.Join(h, "Access-Control-Expose-Headers", e.expose)
	}
	if len(r.Decisions) == 0 {
		return
	}
	r.renderer = e
	for _, d := range e.answers.Headers {
		d.Write(h, r)
	}
}

// Refusal is what the decisions lead to, with the jitter that the answers ask for.
func (e *Renderer) Refusal(strictest stint.Decision, decisions []stint.Decision) *Refusal {
	return newRefusal(strictest, decisions, e.jitter())
}

func (e *Renderer) jitter() int64 {
	if e.answers.Jitter == 0 {
		return 0
	}
	return rand.Int64N(int64(e.answers.Jitter/time.Second) + 1)
}

// Refuse answers the request with the refusal: headers, status and body. key is as for WriteHeaders.
func (e *Renderer) Refuse(w http.ResponseWriter, r *http.Request, key string, f *Refusal) {
	x := &exchange{Context: r.Context(), decision: [1]stint.Decision{f.Decision}}
	x.report.renderer, x.report.Decisions, x.report.Key = e, telling(f.Decisions), key
	x.refuse(w, r, f)
}
