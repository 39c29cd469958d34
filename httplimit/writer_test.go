package httplimit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// serve runs the handler behind a limit of 1000 an hour on a real server.
func serve(t *testing.T, next http.Handler, http2 bool) (*httptest.Server, *http.Client) {
	t.Helper()
	l := newClock().limiter(t, stint.PerHour(1000).WithBurst(1000).WithID("h"))
	s := httptest.NewUnstartedServer(handler(t, next, httplimit.Options{Limiter: l}))
	if http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, s.Client()
}

func get(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", "ann")
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

const left = `RateLimit: "h";r=999;t=4`

func TestWaysToAnswer(t *testing.T) {
	for name, next := range map[string]http.HandlerFunc{
		"nothing":      func(http.ResponseWriter, *http.Request) {},
		"write":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("body")) },
		"write string": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") },
		"read from":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("body")) },
		"flush":        func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"controller":   func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"early hints":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) },
		"twice":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); _, _ = w.Write(nil) },
		"write deadline": func(w http.ResponseWriter, _ *http.Request) {
			mustSucceed(http.NewResponseController(w).SetWriteDeadline(time.Time{}))
		},
		"file":        func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "doc.go") },
		"full duplex": func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).EnableFullDuplex() },
		"reader, no size": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("body"), 4))
		},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " http2=", http2), func(t *testing.T) {
				s, c := serve(t, next, http2)
				r := get(t, c, s.URL)
				if r.StatusCode != 200 {
					t.Errorf("status %d", r.StatusCode)
				}
				checkHeaders(t, name, r.Header, []string{left, `RateLimit-Policy: "h";q=1000;w=3600`})
				if body := bodyOf(t, r); body != "" && body != "body" && name != "file" {
					t.Errorf("body %q", body)
				}
			})
		}
	}
}

func mustSucceed(err error) {
	if err != nil {
		panic(err)
	}
}

func TestFlushedBytesArriveAtOnce(t *testing.T) {
	release := make(chan struct{})
	s, c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-release
	}), false)
	r := get(t, c, s.URL)
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	close(release)
	if err != nil || line != "data: 1\n" {
		t.Errorf("%q %v", line, err)
	}
	checkHeaders(t, "a stream", r.Header, []string{left})
}

func TestHijack(t *testing.T) {
	s, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
		_ = rw.Flush()
		_ = c.Close()
	}), false)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-User: ann\r\n\r\n")
	got, _ := io.ReadAll(c)
	if !strings.HasSuffix(string(got), "hello") {
		t.Errorf("%q", got)
	}
}

func TestOnlyWhatIsThereIsOffered(t *testing.T) {
	type plain struct{ http.ResponseWriter }
	type pusher struct {
		plain
		http.Flusher
		http.Pusher
	}
	l := newClock().limiter(t, stint.PerHour(1000))
	var w http.ResponseWriter
	h := handler(t, http.HandlerFunc(func(given http.ResponseWriter, _ *http.Request) { w = given }), httplimit.Options{Limiter: l})
	for _, row := range []struct {
		under               http.ResponseWriter
		flush, hijack, push bool
	}{
		{plain{httptest.NewRecorder()}, false, false, false},
		{httptest.NewRecorder(), true, false, false},
		{pusher{plain: plain{httptest.NewRecorder()}}, true, false, true},
	} {
		h.ServeHTTP(row.under, request("/", "X-User: ann"))
		_, flush := w.(http.Flusher)
		_, hijack := w.(http.Hijacker)
		_, push := w.(http.Pusher)
		if flush != row.flush || hijack != row.hijack || push != row.push {
			t.Errorf("%T: flush %v, hijack %v, push %v", row.under, flush, hijack, push)
		}
		if _, ok := row.under.(plain); ok {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("flush without a flusher: %v", err)
			}
		}
	}
}

func TestDirectWriter(t *testing.T) {
	l := newClock().limiter(t, stint.PerHour(1000).WithBurst(1000).WithID("h"))
	var given http.ResponseWriter
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { given = w })
	h := handler(t, next, httplimit.Options{Limiter: l, Answers: httplimit.Answers{DirectWriter: true}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request("/", "X-User: ann"))
	if given != http.ResponseWriter(w) {
		t.Errorf("the writer was wrapped: %T", given)
	}
	checkHeaders(t, "direct", w.Result().Header, []string{left})
}

// An upstream behind a reverse proxy sends its limits through us.
func TestReverseProxy(t *testing.T) {
	upstream := httptest.NewServer(sets(`RateLimit: "up";r=1;t=9`, "X-RateLimit-Remaining: 1", "X-RateLimit-Limit: 2", "X-RateLimit-Reset: 9"))
	t.Cleanup(upstream.Close)
	target, _ := url.Parse(upstream.URL)
	l := newClock().limiter(t, stint.PerHour(1000).WithBurst(1000).WithID("h"))
	s := httptest.NewServer(handler(t, httputil.NewSingleHostReverseProxy(target), httplimit.Options{
		Limiter: l, Answers: httplimit.Answers{Headers: []httplimit.Dialect{httplimit.IETF{}, httplimit.XRateLimit{Seconds: true}}},
	}))
	t.Cleanup(s.Close)
	checkHeaders(t, "merged", get(t, s.Client(), s.URL).Header, []string{
		`RateLimit: "up";r=1;t=9 | "h";r=999;t=4`, "X-RateLimit-Remaining: 1", "X-RateLimit-Limit: 2", "X-RateLimit-Reset: 9",
	})
}

func TestPanicOfNextPassesThrough(t *testing.T) {
	l := newClock().limiter(t, stint.PerHour(1000).WithBurst(1000).WithID("h"))
	h := handler(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("mine") }), httplimit.Options{Limiter: l})
	recoverer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() == "mine" {
				w.WriteHeader(500)
			}
		}()
		h.ServeHTTP(w, r)
	})
	r := ask(recoverer, request("/", "X-User: ann"))
	checkHeaders(t, "after a panic", r.Header, []string{left})
	if r.StatusCode != 500 {
		t.Errorf("status %d", r.StatusCode)
	}
}

// TestHugeHeaders sends 10 MB of headers to a server that takes them.
func TestHugeHeaders(t *testing.T) {
	l := newClock().limiter(t, stint.PerHour(1).WithBurst(1).WithID("h"))
	o := httplimit.Options{Limiter: l, Address: httplimit.Hops(1)}
	o.Bodies = []httplimit.Body{httplimit.Text{}, httplimit.JSON{}}
	s := httptest.NewUnstartedServer(handler(t, sets(), o))
	s.Config.MaxHeaderBytes = 64 << 20
	s.Start()
	t.Cleanup(s.Close)
	huge := strings.Repeat("10.0.0.1, ", 1<<20)
	for i, status := range []int{200, 429} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
		for _, name := range []string{"X-User", "X-Forwarded-For", "Accept"} {
			r.Header.Set(name, huge)
		}
		response, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}, DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("request %d: status %d, want %d", i, response.StatusCode, status)
		}
	}
}
