package httplimit_test

import (
	"net/http"
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// BenchmarkHandler compares a handler with and without a limit in front: the difference is what the middleware adds to a
// request.
func BenchmarkHandler(b *testing.B) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	limiter := func(limits ...stint.Limit) *stint.Limiter {
		l, err := stint.New(limits...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		return l
	}
	many := stint.PerSecond(1e9).WithBurst(1e9).WithID("many")
	with := func(o httplimit.Options) http.Handler {
		if o.Key.String() == "" {
			o.Key = policy.Header("X-Api-Key")
		}
		return handler(b, next, o)
	}
	x := httplimit.Answers{Headers: []httplimit.Dialect{httplimit.XRateLimit{}}}
	for _, row := range []struct {
		name string
		h    http.Handler
	}{
		{"without", next},
		{"ietf", with(httplimit.Options{Limiter: limiter(many)})},
		{"ietf, direct writer", with(httplimit.Options{Limiter: limiter(many), Answers: httplimit.Answers{DirectWriter: true}})},
		{"x", with(httplimit.Options{Limiter: limiter(many), Answers: x})},
		{"no headers", with(httplimit.Options{Limiter: limiter(many), Answers: httplimit.Answers{Headers: []httplimit.Dialect{httplimit.NoHeaders{}}}})},
		{"by address", with(httplimit.Options{Limiter: limiter(many), Key: policy.Address(), Address: httplimit.Peer()})},
		{"by address behind a proxy", with(httplimit.Options{Limiter: limiter(many), Key: policy.Address(), Address: httplimit.Hops(1)})},
		{"two limits", with(httplimit.Options{Limiter: limiter(many, many.WithID("more"))})},
		{"charged afterwards", with(httplimit.Options{Limiter: limiter(many), Charge: httplimit.ChargeStatus(func(int) bool { return true })})},
		{"refused", with(httplimit.Options{Limiter: limiter(stint.PerHour(1).WithBurst(1))})},
	} {
		b.Run(row.name, func(b *testing.B) {
			r := request("/", "X-Api-Key: ann", "X-Forwarded-For: 6.6.6.6, 203.0.113.7")
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				row.h.ServeHTTP(w, r)
			}
		})
	}
}

// sink is a ResponseWriter that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Flush()                      {}
