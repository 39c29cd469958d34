package bench

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-chi/httprate"
	golimiter "github.com/sethvargo/go-limiter/httplimit"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	"github.com/ulule/limiter/v3/drivers/store/memory"
)

// keyHeader is the header that requests are counted by, in its canonical form.
const keyHeader = "X-Api-Key"

// Middlewares are ways to limit one and the same handler: the bare handler first, then ours, then those of the peers that have
// one, each with the headers that it sends by default.
func Middlewares() []Contestant {
	return []Contestant{
		{Name: "the handler alone", Aside: true, New: func(Limit) (*Subject, error) { return served(hello), nil }},
		{Name: "stint", Note: "`httplimit.Handler`", Ours: true, New: limited(httplimit.Answers{})},
		{Name: "stint, DirectWriter", Note: "the handler sets no rate limit headers of its own", Ours: true,
			New: limited(httplimit.Answers{DirectWriter: true})},
		{Name: "stint, no headers", Note: "`NoHeaders`", Ours: true,
			New: limited(httplimit.Answers{Headers: []httplimit.Dialect{httplimit.NoHeaders{}}})},
		{Name: "httprate", New: httprateMiddleware},
		{Name: "throttled", New: throttledMiddleware},
		{Name: "go-limiter", New: goLimiterMiddleware},
		{Name: "ulule", New: ululeMiddleware},
	}
}

// HTTPRows are requests of a thousand clients, granted and refused.
func HTTPRows() []Row {
	return []Row{
		{Name: "granted", Goroutines: 1, Limit: live, Keys: 1000, Stream: uniform},
		{Name: "refused", Goroutines: 1, Limit: full, Keys: 1000, Stream: uniform, Refused: true},
	}
}

// HTTPTable shows ns a request and what a middleware adds to the bare handler's, the median of the rounds' differences.
func HTTPTable(results [][]*Figures) string {
	t := NewTable("ns a request, median (least)", "granted", "added", "allocations", "refused", "allocations")
	for i, granted := range results[0] {
		name := granted.Contestant.Name
		if note := granted.Contestant.Note; note != "" {
			name += ": " + note
		}
		bare, refused := results[0][0], results[1][i]
		differences := make([]float64, len(granted.Rounds))
		for k := range differences {
			differences[k] = granted.Rounds[k] - bare.Rounds[k]
		}
		line := []string{name, granted.cell(), number(quantile(differences, 0.5)), fmt.Sprintf("%.0f", granted.Allocs)}
		if i == 0 {
			t.Line(append(line, "–", "–")...)
			continue
		}
		t.Line(append(line, refused.cell(), fmt.Sprintf("%.0f", refused.Allocs))...)
	}
	return t.String()
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = plain
	_, _ = w.Write(body)
})

var (
	plain = []string{"text/plain; charset=utf-8"}
	body  = []byte("hello\n")
)

// served asks a handler, by requests that differ in their key alone.
func served(h http.Handler) *Subject {
	return &Subject{NewDecider: func() Decider {
		w := &discard{header: http.Header{}}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/limit", http.NoBody)
		if err != nil {
			panic(err) // the arguments are constant
		}
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set(keyHeader, "")
		key := r.Header[keyHeader]
		return func(keys []string) (granted int) {
			for _, k := range keys {
				clear(w.header)
				w.status = http.StatusOK
				key[0] = k
				h.ServeHTTP(w, r)
				if w.status == http.StatusOK {
					granted++
				}
			}
			return granted
		}
	}}
}

// discard is a response that goes nowhere, used again and again: what is left is the cost of the handler.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func limited(answers httplimit.Answers) func(Limit) (*Subject, error) {
	return func(l Limit) (*Subject, error) {
		limiter, err := stint.New(stint.Every(l.Every).WithBurst(l.Burst).WithID("bench"))
		if err != nil {
			return nil, err
		}
		h, err := httplimit.Handler(hello, httplimit.Options{Limiter: limiter, Key: policy.Header(keyHeader), Answers: answers})
		if err != nil {
			_ = limiter.Close()
			return nil, err
		}
		s := served(h)
		s.Close = func() { _ = limiter.Close() }
		return s, nil
	}
}

func headerKey(r *http.Request) (string, error) { return r.Header.Get(keyHeader), nil }

func httprateMiddleware(l Limit) (*Subject, error) {
	return served(httprate.LimitBy(int(l.Burst), l.Window(), headerKey)(hello)), nil
}

func throttledMiddleware(l Limit) (*Subject, error) {
	store, err := memstore.NewCtx(0)
	if err != nil {
		return nil, err
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate:  throttled.PerDuration(1, l.Every),
		MaxBurst: int(l.Burst) - 1,
	})
	if err != nil {
		return nil, err
	}
	h := throttled.HTTPRateLimiterCtx{RateLimiter: limiter, VaryBy: &throttled.VaryBy{Headers: []string{keyHeader}}}
	return served(h.RateLimit(hello)), nil
}

func goLimiterMiddleware(l Limit) (*Subject, error) {
	store, err := memorystore.New(&memorystore.Config{Tokens: uint64(l.Burst), Interval: l.Window()})
	if err != nil {
		return nil, err
	}
	middleware, err := golimiter.NewMiddleware(store, headerKey)
	if err != nil {
		return nil, err
	}
	s := served(middleware.Handle(hello))
	s.Close = func() { _ = store.Close(context.Background()) }
	return s, nil
}

func ululeMiddleware(l Limit) (*Subject, error) {
	limits := limiter.New(memory.NewStore(), limiter.Rate{Period: l.Window(), Limit: l.Burst})
	getter := stdlib.WithKeyGetter(func(r *http.Request) string { return r.Header.Get(keyHeader) })
	return served(stdlib.NewMiddleware(limits, getter).Handler(hello)), nil
}
