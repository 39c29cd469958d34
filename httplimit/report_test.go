package httplimit

import (
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// An exchange is made for every request: a size more would cost each of them.
func TestExchangeSize(t *testing.T) {
	if size := unsafe.Sizeof(exchange{}); size > 320 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("an exchange has %d bytes: it no longer fits into the size class of 320", size)
	}
}

// Texts that are kept in a report stay as they are, whatever is kept after them and wherever it fits.
func TestReportKeepsTexts(t *testing.T) {
	var r Report
	var kept, want []string
	for i := range 40 {
		text := strings.Repeat(string(rune('a'+i%26)), i%9)
		kept, want = append(kept, r.kept([]byte(text))), append(want, text)
	}
	for i := range kept {
		if kept[i] != want[i] {
			t.Errorf("text %d became %q, was %q", i, kept[i], want[i])
		}
	}
}

// What a response says is not touched by the requests after it.
func TestHeadersOutliveTheRequest(t *testing.T) {
	limiter, err := stint.New(stint.PerHour(100).WithBurst(100).WithID("a-limit-with-a-rather-long-name"), stint.PerHour(50).WithID("b"))
	if err != nil {
		t.Fatal(err)
	}
	defer limiter.Close()
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, answers := range []Answers{{}, {Headers: []Dialect{IETF{}, XRateLimit{}}}, {DirectWriter: true}} {
		h, err := Handler(served, Options{Limiter: limiter, Key: policy.Header("X-Key"), Answers: answers})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Key", t.Name()+"ann")
		var headers, copies []http.Header
		for range 60 { // some of them refused
			w := &discard{header: http.Header{}}
			h.ServeHTTP(w, r)
			headers, copies = append(headers, w.header), append(copies, deepCopy(w.header))
		}
		for i := range headers {
			for name := range headers[i] {
				if got, was := headers[i][name][0], copies[i][name][0]; got != was {
					t.Fatalf("response %d: %s became %q, was %q", i, name, got, was)
				}
			}
		}
	}
}

func deepCopy(h http.Header) http.Header {
	c := http.Header{}
	for name, values := range h {
		for _, v := range values {
			c[name] = append(c[name], strings.Clone(v))
		}
	}
	return c
}

// discard is a response that goes nowhere.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
