package httplimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// upstream is a server made of a function, which sees to it that every body it hands out is closed.
type upstream struct {
	answer func(n int, r *http.Request) *http.Response // n counts from 1
	mu     sync.Mutex
	calls  int
	at     []time.Duration // when each request came
	start  time.Time
	open   atomic.Int64 // response bodies not closed
	unread []string     // request bodies, as they came
}

type body struct {
	io.Reader
	open *atomic.Int64
	once sync.Once
}

func (b *body) Close() error { b.once.Do(func() { b.open.Add(-1) }); return nil }

// sent is how many requests came so far.
func (u *upstream) sent() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	u.calls++
	n := u.calls
	u.at = append(u.at, time.Since(u.start))
	u.mu.Unlock()
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		u.mu.Lock()
		u.unread = append(u.unread, string(text))
		u.mu.Unlock()
	}
	response := u.answer(n, r)
	if response == nil {
		return nil, errors.New("connection reset")
	}
	u.open.Add(1)
	response.Body = &body{Reader: strings.NewReader("body"), open: &u.open}
	return response, nil
}

// says is a response with a status and headers written as "Name: value".
func says(status int, headers ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// inBubble runs the test in virtual time, which starts at 2000-01-01T00:00:00Z, with a client of the upstream.
func inBubble(t *testing.T, o httplimit.TransportOptions, answer func(n int, r *http.Request) *http.Response,
	test func(t *testing.T, c *http.Client, u *upstream)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: answer, start: time.Now()}
		o.Base = u
		transport, err := httplimit.NewTransport(o)
		if err != nil {
			t.Fatal(err)
		}
		test(t, &http.Client{Transport: transport}, u)
		synctest.Wait()
		if n := u.open.Load(); n != 0 {
			t.Errorf("%d response bodies were left open", n)
		}
	})
}

// fetch sends a GET and closes what comes back.
func fetch(ctx context.Context, c *http.Client) (int, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	if err != nil {
		return 0, err
	}
	response, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func (u *upstream) expect(t *testing.T, at ...time.Duration) {
	t.Helper()
	if fmt.Sprint(u.at) != fmt.Sprint(at) {
		t.Errorf("requests came at %v, want %v", u.at, at)
	}
}

// What a server says in its first response decides when the second request is sent.
func TestTransportObeys(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		why    string
		status int
		says   []string
		wait   time.Duration
	}{
		{"nothing said", 200, nil, 0},
		{"seconds", 429, []string{"Retry-After: 7"}, 7 * s},
		{"a date", 503, []string{"Retry-After: Sat, 01 Jan 2000 00:00:20 GMT"}, 20 * s},
		{"a date by the server's clock, an hour off", 503,
			[]string{"Date: Sat, 01 Jan 2000 01:00:00 GMT", "Retry-After: Sat, 01 Jan 2000 01:00:20 GMT"}, 20 * s},
		{"a date in the past", 503, []string{"Retry-After: Fri, 31 Dec 1999 23:00:00 GMT"}, 0},
		{"not with a success", 200, []string{"Retry-After: 7"}, 0},
		{"nothing left", 200, []string{`RateLimit: "a";r=0;t=9`}, 9 * s},
		{"some left", 200, []string{`RateLimit: "a";r=1;t=9`}, 0},
		{"Retry-After wins", 429, []string{"Retry-After: 2", `RateLimit: "a";r=0;t=9`}, 2 * s},
		{"the longest of those used up", 200, []string{`RateLimit: "a";r=0;t=3, "b";r=0;t=8, "c";r=5;t=60`}, 8 * s},
		{"over two lines", 200, []string{`RateLimit: "a";r=5;t=3`, `RateLimit: "b";r=0;t=8`}, 8 * s},
		{"the names of a later draft", 200, []string{`RateLimit: api;a=0;w=4`}, 4 * s},
		{"without t the policy's window", 200, []string{`RateLimit: "a";r=0`, `RateLimit-Policy: "a";q=5;w=6`}, 6 * s},
		{"bytes are not requests", 200, []string{`RateLimit: "a";r=0;t=9`, `RateLimit-Policy: "a";q=5;w=9;qu="content-bytes"`}, 0},
		{"malformed is ignored", 200, []string{`RateLimit: "a";r=0;t=9,`}, 0},
		{"draft 7", 200, []string{"RateLimit: limit=100, remaining=0, reset=5"}, 5 * s},
		{"draft 6", 200, []string{"RateLimit-Limit: 5", "RateLimit-Remaining: 0", "RateLimit-Reset: 11"}, 11 * s},
		{"X- with a wait", 200, []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 12"}, 12 * s},
		{"X- with a Unix time", 200, []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 946684813"}, 13 * s},
		{"X- with milliseconds", 200, []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1000000000000"}, 20 * time.Minute},
		{"X- with a time gone by", 200, []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1000000000", "Date: Fri, 01 Jan 2038 00:00:00 GMT"}, 0},
		{"X- malformed", 200, []string{"X-RateLimit-Remaining: none", "X-RateLimit-Reset: 12"}, 0},
		{"a cached response", 429, []string{"Age: 1", "Retry-After: 7", `RateLimit: "a";r=0;t=9`}, 0},
		{"a fresh one", 429, []string{"Age: 0", "Retry-After: 7"}, 7 * s},
		{"absurd: as long as is believed", 429, []string{"Retry-After: 99999999999999999999"}, 20 * time.Minute},
		{"absurd, too", 200, []string{`RateLimit: "a";r=0;t=999999999999999`}, 20 * time.Minute},
		{"negative is malformed", 429, []string{"Retry-After: -5"}, 0},
	} {
		t.Run(row.why, func(t *testing.T) {
			o := httplimit.TransportOptions{MaxHold: 20 * time.Minute, MaxWait: time.Hour}
			inBubble(t, o, func(n int, _ *http.Request) *http.Response {
				if n == 1 {
					return says(row.status, row.says...)
				}
				return says(200)
			}, func(t *testing.T, c *http.Client, u *upstream) {
				for range 2 {
					if _, err := fetch(t.Context(), c); err != nil {
						t.Error(err)
					}
				}
				u.expect(t, 0, row.wait)
			})
		})
	}
}

// With three left for ten seconds, three more are sent, and the fourth after that time.
func TestTransportKeepsToWhatIsLeft(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{}, func(n int, _ *http.Request) *http.Response {
		if n == 1 {
			return says(200, `RateLimit: "a";r=3;t=10`)
		}
		return says(200)
	}, func(t *testing.T, c *http.Client, u *upstream) {
		for range 5 {
			if _, err := fetch(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		u.expect(t, 0, 0, 0, 0, 10*time.Second)
	})
}

// Requests under way count against what is left; the next answer corrects it.
func TestTransportCountsThoseUnderWay(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{}, func(n int, _ *http.Request) *http.Response {
		switch n {
		case 1:
			time.Sleep(5 * time.Second)
			return says(200, `RateLimit: "a";r=4;t=30`)
		case 2:
			time.Sleep(time.Second)
			return says(200, `RateLimit: "a";r=1;t=30`)
		}
		return says(200)
	}, func(t *testing.T, c *http.Client, u *upstream) {
		var wg sync.WaitGroup
		for _, after := range []time.Duration{0, 0, 2 * time.Second} {
			wg.Go(func() {
				time.Sleep(after)
				if _, err := fetch(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		// The second said that one is left, and the first was under way: the third waits until the first is answered.
		u.expect(t, 0, 0, 5*time.Second)
	})
}

func TestTransportHosts(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{}, func(_ int, r *http.Request) *http.Response {
		if r.URL.Host == "a.test" {
			return says(429, "Retry-After: 30")
		}
		return says(200)
	}, func(t *testing.T, c *http.Client, u *upstream) {
		for _, host := range []string{"a.test", "b.test", "A.test", "b.test"} {
			r, err := c.Get("http://" + host)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
		}
		u.expect(t, 0, 0, 30*time.Second, 30*time.Second)
	})
}

func TestTransportRefuses(t *testing.T) {
	hold := func(int, *http.Request) *http.Response { return says(429, "Retry-After: 30") }
	check := func(t *testing.T, err error, wait time.Duration) {
		t.Helper()
		var limited *httplimit.LimitedError
		if !errors.As(err, &limited) || limited.RetryAfter != wait || !limited.ByServer || limited.Key != "api.test" {
			t.Errorf("error %v (%+v), want a wait of %v", err, limited, wait)
		}
	}
	inBubble(t, httplimit.TransportOptions{Refuse: true}, hold, func(t *testing.T, c *http.Client, u *upstream) {
		_, _ = fetch(t.Context(), c)
		time.Sleep(10 * time.Second)
		closed := false
		r, _ := http.NewRequest("POST", "http://api.test/", closer{strings.NewReader("x"), &closed})
		_, err := c.Do(r)
		check(t, err, 20*time.Second)
		if !closed {
			t.Error("the body of a request that was not sent is open")
		}
		u.expect(t, 0)
	})
	inBubble(t, httplimit.TransportOptions{MaxWait: 29 * time.Second}, hold, func(t *testing.T, c *http.Client, u *upstream) {
		_, _ = fetch(t.Context(), c)
		_, err := fetch(t.Context(), c)
		check(t, err, 30*time.Second) // longer than MaxWait: at once
		u.expect(t, 0)
	})
	inBubble(t, httplimit.TransportOptions{}, hold, func(t *testing.T, c *http.Client, u *upstream) {
		_, _ = fetch(t.Context(), c)
		ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second)
		defer cancel()
		start := time.Now()
		_, err := fetch(ctx, c)
		check(t, err, 30*time.Second) // the deadline is too near: at once
		if time.Since(start) != 0 {
			t.Error("it waited in vain")
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := fetch(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the context's", err)
		}
		u.expect(t, 0)
	})
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error { *c.closed = true; return nil }

func TestTransportRetries(t *testing.T) {
	const s = time.Second
	post := func(body io.Reader, headers ...string) func() *http.Request {
		return func() *http.Request {
			r, _ := http.NewRequest("POST", "http://api.test/", body)
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Set(name, value)
			}
			return r
		}
	}
	get := func() *http.Request { r, _ := http.NewRequest("GET", "http://api.test/", nil); return r }
	for _, row := range []struct {
		why     string
		request func() *http.Request
		retries int
		answers []*http.Response // the last one again and again
		status  int
		at      []time.Duration
	}{
		{"until it is served", get, 3, []*http.Response{says(429, "Retry-After: 2"), says(429, "Retry-After: 3"), says(200)}, 200,
			[]time.Duration{0, 2 * s, 5 * s}},
		{"as often as said", get, 2, []*http.Response{says(429, "Retry-After: 2")}, 429, []time.Duration{0, 2 * s, 4 * s}},
		{"a server that names no wait", get, 4, []*http.Response{says(429)}, 429, []time.Duration{0, 1 * s, 3 * s, 7 * s, 15 * s}},
		{"not at all", get, 0, []*http.Response{says(429, "Retry-After: 2")}, 429, []time.Duration{0}},
		{"longer than MaxWait: the answer is handed back", get, 3, []*http.Response{says(429, "Retry-After: 61")}, 429, []time.Duration{0}},
		{"a 503 of a GET", get, 1, []*http.Response{says(503, "Retry-After: 2"), says(200)}, 200, []time.Duration{0, 2 * s}},
		{"a 500 is another matter", get, 1, []*http.Response{says(500)}, 500, []time.Duration{0}},
		{"a body that can be had again", post(strings.NewReader("hello")), 1,
			[]*http.Response{says(429, "Retry-After: 2"), says(200)}, 200, []time.Duration{0, 2 * s}},
		{"a body that cannot", post(io.MultiReader(strings.NewReader("hello"))), 1,
			[]*http.Response{says(429, "Retry-After: 2"), says(200)}, 429, []time.Duration{0}},
		{"a 503 of a POST may have been done", post(strings.NewReader("hello")), 1,
			[]*http.Response{says(503, "Retry-After: 2"), says(200)}, 503, []time.Duration{0}},
		{"unless it is idempotent", post(strings.NewReader("hello"), "Idempotency-Key: k"), 1,
			[]*http.Response{says(503, "Retry-After: 2"), says(200)}, 200, []time.Duration{0, 2 * s}},
	} {
		t.Run(row.why, func(t *testing.T) {
			inBubble(t, httplimit.TransportOptions{Retries: row.retries}, func(n int, _ *http.Request) *http.Response {
				answer := *row.answers[min(n, len(row.answers))-1]
				return &answer
			}, func(t *testing.T, c *http.Client, u *upstream) {
				r := row.request()
				response, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if text, _ := io.ReadAll(response.Body); string(text) != "body" {
					t.Errorf("the answer's body was touched: %q", text)
				}
				_ = response.Body.Close()
				if response.StatusCode != row.status {
					t.Errorf("status %d, want %d", response.StatusCode, row.status)
				}
				u.expect(t, row.at...)
				for _, sent := range u.unread {
					if sent != "hello" {
						t.Errorf("a body was sent as %q", sent)
					}
				}
			})
		})
	}
}

func TestTransportCancelledBetweenRetries(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{Retries: 3}, func(int, *http.Request) *http.Response {
		return says(429, "Retry-After: 5")
	}, func(t *testing.T, c *http.Client, u *upstream) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(7*time.Second, cancel)
		if _, err := fetch(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		u.expect(t, 0, 5*time.Second)
	})
}

// bubbleLimiter is a limiter whose store lives in the bubble's time.
func bubbleLimiter(t *testing.T, limit stint.Limit) *stint.Limiter {
	t.Helper()
	store, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return time.Now().UnixMicro() }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := stint.NewWith(stint.Options{Store: store}, limit)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTransportKeepsToALimiter(t *testing.T) {
	ok := func(int, *http.Request) *http.Response { return says(200) }
	var l *stint.Limiter // made in the bubble of each test
	key := func(*http.Request) string { return "all" }
	synctest.Test(t, func(t *testing.T) {
		l = bubbleLimiter(t, stint.PerSecond(1).WithBurst(2))
		u := &upstream{answer: ok, start: time.Now()}
		transport, err := httplimit.NewTransport(httplimit.TransportOptions{Base: u, Limiter: l, Key: key, MaxWait: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Transport: transport}
		for range 4 {
			if _, err := fetch(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		u.expect(t, 0, 0, time.Second, 2*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var limited *httplimit.LimitedError
		if _, err := fetch(ctx, c); !errors.As(err, &limited) || limited.ByServer || !errors.Is(err, stint.ErrDeadline) {
			t.Errorf("error %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l = bubbleLimiter(t, stint.PerSecond(1).WithBurst(1))
		u := &upstream{answer: ok, start: time.Now()}
		transport, err := httplimit.NewTransport(httplimit.TransportOptions{Base: u, Limiter: l, Key: key, Refuse: true})
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Transport: transport}
		_, _ = fetch(t.Context(), c)
		var limited *httplimit.LimitedError
		if _, err := fetch(t.Context(), c); !errors.As(err, &limited) || limited.RetryAfter != time.Second || limited.ByServer {
			t.Errorf("error %v", err)
		}
	})
}

// Nothing is taken from the limiter for a request that the server holds back.
func TestTransportLooksAtTheServerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bubbleLimiter(t, stint.PerHour(10).WithBurst(10))
		u := &upstream{answer: func(int, *http.Request) *http.Response { return says(429, "Retry-After: 30") }, start: time.Now()}
		transport, _ := httplimit.NewTransport(httplimit.TransportOptions{Base: u, Limiter: l, Refuse: true})
		c := &http.Client{Transport: transport}
		for range 5 {
			_, _ = fetch(t.Context(), c)
		}
		if d, _ := l.Peek(t.Context(), "api.test", 1); d.Remaining != 9 {
			t.Errorf("%d left, want 9", d.Remaining)
		}
	})
}

func TestTransportErrorsAndBounds(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{MaxKeys: 3, Retries: 2}, func(n int, r *http.Request) *http.Response {
		if r.URL.Host == "down.test" {
			return nil
		}
		return says(200, `RateLimit: "a";r=0;t=`+fmt.Sprint(n))
	}, func(t *testing.T, c *http.Client, u *upstream) {
		if _, err := c.Get("http://down.test"); err == nil || !strings.Contains(err.Error(), "connection reset") {
			t.Errorf("error %v", err)
		}
		for i := range 10 {
			r, err := c.Get(fmt.Sprintf("http://host%d.test", i))
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
		}
		// host0 to host6 were forgotten, which end first; host9 was not, and holds until 11 s.
		for host, at := range map[string]time.Duration{"host0.test": 0, "host9.test": 11 * time.Second} {
			start := u.sent()
			go func() {
				if r, err := c.Get("http://" + host); err == nil {
					_ = r.Body.Close()
				}
			}()
			synctest.Wait()
			if sent := u.sent() > start; sent != (at == 0) {
				t.Errorf("%s: sent at once is %v", host, sent)
			}
		}
		time.Sleep(11 * time.Second)
		c.CloseIdleConnections()
	})
	for _, o := range []httplimit.TransportOptions{
		{MaxWait: -1}, {MaxHold: -1}, {Spread: -1}, {Retries: -1}, {Retries: 17}, {Retries: 1, Refuse: true}, {MaxKeys: -1},
	} {
		if _, err := httplimit.NewTransport(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestTransportSpreads(t *testing.T) {
	inBubble(t, httplimit.TransportOptions{Spread: 4 * time.Second}, func(n int, _ *http.Request) *http.Response {
		if n == 1 {
			return says(429, "Retry-After: 10")
		}
		return says(200)
	}, func(t *testing.T, c *http.Client, u *upstream) {
		_, _ = fetch(t.Context(), c)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _, _ = fetch(t.Context(), c) })
		}
		wg.Wait()
		apart := map[time.Duration]bool{}
		for _, at := range u.at[1:] {
			apart[at] = true
			if at < 10*time.Second || at >= 14*time.Second {
				t.Errorf("sent at %v", at)
			}
		}
		if len(apart) < 25 {
			t.Errorf("only %d different times", len(apart))
		}
	})
}
