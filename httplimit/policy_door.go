package httplimit

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/stint-go/stint/policy"
)

// door is a route with what answers its calls.
type door struct {
	handler // what [Handler] would have made of the route; the policy decides in its place
	route   *policy.Route
	static  *static // next, if it is an answer that stands in the policy
	slots   bool    // some limits count slots held
	told    func(v *Verdict)
}

// doorMaker makes the doors of one policy. Routes share what they can.
type doorMaker struct {
	h         *PolicyHandler
	policy    *policy.Policy
	renderers map[string]*Renderer // by format
	upstreams map[string]http.Handler
}

func (m *doorMaker) door(r *policy.Route) (door, error) {
	d := door{route: r, slots: slices.ContainsFunc(r.Limits, countsSlots), told: m.h.options.OnVerdict}
	d.options = Options{
		Key:      r.Key,
		FailOpen: !slices.ContainsFunc(r.Limits, func(l *policy.Limit) bool { return l.OnStoreLoss != policy.LossOpen }),
		OnError:  m.h.options.OnError,
		Shadow:   r.Mode == policy.Shadow,
	}
	if d.slots || r.ChargeOn != nil {
		d.options.Charge = charged(r.ChargeOn)
	}
	var err error
	if d.renderer, err = m.renderer(r.OverLimit.Format); err != nil {
		return d, err
	}
	switch {
	case r.Respond != nil:
		d.static = newStatic(r.Respond)
		d.next = d.static
	case r.Upstream != nil:
		d.next, err = m.upstream(r.Upstream)
	case m.h.options.Next != nil:
		d.next = m.h.options.Next
	default:
		d.next = http.HandlerFunc(admitted)
	}
	return d, err
}

// countsSlots says whether a limit counts slots held, for any plan.
func countsSlots(l *policy.Limit) bool {
	return slices.ContainsFunc(append(l.Plans(), ""), func(plan string) bool {
		value := l.For(plan)
		return value != nil && value.Strategy.Name() == concurrency
	})
}

func (m *doorMaker) renderer(format string) (*Renderer, error) {
	if e := m.renderers[format]; e != nil {
		return e, nil
	}
	answers := m.h.options.Answers
	for _, name := range m.policy.Headers {
		dialect, err := ParseDialect(name)
		if err != nil {
			return nil, err
		}
		answers.Headers = append(answers.Headers, dialect)
	}
	if answers.OnLimit == nil {
		answers.Bodies = bodies[format]
	}
	e, err := NewRenderer(answers)
	m.renderers[format] = e
	return e, err
}

// bodies are the formats of a refusal that a policy can choose.
var bodies = map[string][]Body{
	"text":    {Text{}},
	"json":    {JSON{}},
	"problem": {Problem{}},
	"accept":  {Text{}, JSON{}, Problem{}},
}

func (m *doorMaker) upstream(u *url.URL) (http.Handler, error) {
	if m.h.options.Upstream == nil {
		return nil, errors.New("httplimit: the policy has an upstream and PolicyOptions.Upstream is not set")
	}
	if handler := m.upstreams[u.String()]; handler != nil {
		return handler, nil
	}
	handler, err := m.h.options.Upstream(u)
	m.upstreams[u.String()] = handler
	return handler, err
}

// charged is what a response has cost in the end.
func charged(on *policy.ChargeOn) func(int64, int, http.Header) int64 {
	if on == nil {
		return func(reserved int64, _ int, _ http.Header) int64 { return reserved }
	}
	said := func(reserved int64, _ int, _ http.Header) int64 { return reserved }
	if on.Header != "" {
		said = ChargeHeader(on.Header)
	}
	return func(reserved int64, status int, h http.Header) int64 {
		if !on.Charges(status) {
			return 0
		}
		return said(reserved, status, h)
	}
}

func noRoute(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "Nothing is served here: no route of the policy fits.", http.StatusNotFound)
}

func admitted(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// static is an answer that stands in the policy.
type static struct {
	status int
	header http.Header
	body   []byte
}

func newStatic(r *policy.Response) *static {
	s := &static{status: r.Status, header: http.Header{}, body: []byte(r.Body)}
	for _, h := range r.Headers {
		s.header[h.Name] = append(s.header[h.Name], h.Value)
	}
	return s
}

// ServeHTTP answers. What outer handlers have set under the same names gives way.
func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, values := range s.header {
		header[name] = slices.Clip(values)
	}
	w.WriteHeader(s.status)
	if len(s.body) > 0 && r.Method != http.MethodHead {
		_, _ = w.Write(s.body) // a client that has left is not told
	}
}
