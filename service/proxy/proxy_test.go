package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inFront is a proxy in front of an upstream, both on loopback.
func inFront(t *testing.T, upstream http.Handler, options ...func(*Options)) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	return inFrontOf(t, server.URL, options...)
}

func inFrontOf(t *testing.T, upstream string, options ...func(*Options)) *httptest.Server {
	t.Helper()
	o := Options{Upstream: upstream}
	for _, set := range options {
		set(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(p)
	t.Cleanup(func() { front.Close(); p.Close() })
	return front
}

// do sends a request through the proxy and returns the answer and its body.
func do(t *testing.T, front *httptest.Server, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := front.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestsPassAsTheyAre(t *testing.T) {
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer", "a")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %q", r.Method, r.RequestURI, r.Header["Accept-Encoding"])
	}))
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/", "GET /"},
		{"PATCH", "/a%2Fb//c?x=1;y=2&z=%zz", "PATCH /a%2Fb//c?x=1;y=2&z=%zz"},
		{"DELETE", "/with%20space?", "DELETE /with%20space?"},
	} {
		conn, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", c.method, c.target)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = conn.Close()
		if want := c.want + " []"; string(body) != want || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Answer") != "a" {
			t.Errorf("got %d %q, want %q", res.StatusCode, body, want)
		}
	}
}

func TestUpstreamPath(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Host, r.RequestURI)
	}))
	t.Cleanup(upstream.Close)
	front := inFrontOf(t, upstream.URL+"/base/")
	if _, body := do(t, front, request(t, "GET", front.URL+"/a", nil)); body != upstream.Listener.Addr().String()+"/base/a" {
		t.Errorf("got %q", body)
	}
	front = inFrontOf(t, upstream.URL, func(o *Options) { o.PreserveHost = true })
	if _, body := do(t, front, request(t, "GET", front.URL+"/a", nil)); body != front.Listener.Addr().String()+"/a" {
		t.Errorf("with its host preserved, got %q", body)
	}
}

func TestUpstreamAddresses(t *testing.T) {
	for _, good := range []string{"http://127.0.0.1:5000", "https://a.test", "http://[::1]:80/base"} {
		if _, err := New(Options{Upstream: good}); err != nil {
			t.Errorf("New(%q): %v", good, err)
		}
	}
	for _, bad := range []string{"", "127.0.0.1:5000", "localhost", "ftp://a", "http://", "http://:80", "http://a?b=c", "http://a#b",
		"http://u:secret@a", "http://a b", "://"} {
		_, err := New(Options{Upstream: bad})
		if err == nil || !strings.Contains(err.Error(), "write http://host:port") || strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%q): %v", bad, err)
		}
	}
	if _, err := New(Options{Upstream: "http://a", DialTimeout: -1}); err == nil {
		t.Error("no error for a negative time-out")
	}
}

// What a client says of itself and of its connection does not reach the upstream; what the proxy knows does.
func TestHeaders(t *testing.T) {
	type headers = map[string]string
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		sent    headers
		want    headers // "" for absent
	}{
		{"nothing said", nil, nil,
			headers{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.test", "X-Forwarded-Proto": "http", "User-Agent": ""}},
		{"a client that pretends", nil,
			headers{"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1",
				"X-Real-Ip": "1.2.3.4", "Forwarded": "for=1.2.3.4", "X_forwarded_for": "1.2.3.4", "X-Other": "kept"},
			headers{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.test", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "",
				"X-Real-Ip": "", "Forwarded": "", "X_forwarded_for": "", "X-Other": "kept"}},
		{"a trusted proxy", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			headers{"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "https"},
			headers{"X-Forwarded-For": "1.2.3.4, 127.0.0.1", "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "https"}},
		{"a trusted proxy that says nothing", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil,
			headers{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.test", "X-Forwarded-Proto": "http"}},
		{"hop by hop", nil,
			headers{"Connection": "keep-alive, X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "Proxy-Authorization": "x", "Te": "gzip",
				"Upgrade": "", "Proxy-Connection": "keep-alive"},
			headers{"Connection": "", "X-Hop": "", "Keep-Alive": "", "Proxy-Authorization": "", "Te": "", "Proxy-Connection": ""}},
		{"a client that names our headers hop by hop", nil, headers{"Connection": "X-Forwarded-For"}, headers{"X-Forwarded-For": "127.0.0.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got http.Header
			front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Clone()
				w.Header().Set("Connection", "X-Upstream-Hop")
				w.Header().Set("X-Upstream-Hop", "1")
				w.Header().Set("Keep-Alive", "timeout=1")
			}), func(o *Options) { o.Trusted = c.trusted })
			r := request(t, "GET", front.URL, nil)
			r.Host = "a.test"
			r.Header["User-Agent"] = nil
			for name, value := range c.sent {
				r.Header[name] = []string{value}
			}
			res, _ := do(t, front, r)
			for name, want := range c.want {
				if value := strings.Join(got[name], "|"); value != want {
					t.Errorf("%s: upstream saw %q, want %q", name, value, want)
				}
			}
			if res.Header.Get("X-Upstream-Hop") != "" || res.Header.Get("Keep-Alive") != "" {
				t.Errorf("hop-by-hop headers of the answer passed: %v", res.Header)
			}
		})
	}
}

// The upstream has the first piece of a request before the second is sent.
func TestRequestsAreStreamed(t *testing.T) {
	read := make(chan string)
	front := inFront(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			read <- lines.Text()
		}
	}))
	body, pieces := io.Pipe()
	r := request(t, "POST", front.URL, body)
	go func() {
		defer pieces.Close()
		for _, piece := range []string{"one", "two", "three"} {
			_, _ = io.WriteString(pieces, piece+"\n")
			if got := <-read; got != piece {
				t.Errorf("upstream read %q, want %q", got, piece)
			}
		}
	}()
	if res, _ := do(t, front, r); res.StatusCode != http.StatusOK {
		t.Errorf("status %s", res.Status)
	}
}

// The client has the first piece of an answer before the second is sent.
func TestAnswersAreStreamed(t *testing.T) {
	next := make(chan struct{})
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	res, err := front.Client().Transport.RoundTrip(request(t, "GET", front.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	for i := range 3 {
		if line, err := events.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) || err != nil {
			t.Fatalf("event %q, %v", line, err)
		}
		next <- struct{}{}
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 64 << 20
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read, written := fnv.New64a(), fnv.New64a()
		_, _ = io.Copy(read, r.Body)
		w.Header().Set("Read", fmt.Sprintf("%x", read.Sum64()))
		_, _ = io.CopyN(io.MultiWriter(w, written), rand.Reader, size)
		w.Header().Set(http.TrailerPrefix+"Written", fmt.Sprintf("%x", written.Sum64()))
	}))
	sent, received := fnv.New64a(), fnv.New64a()
	body := io.TeeReader(io.LimitReader(rand.Reader, size), sent)
	res, err := front.Client().Post(front.URL, "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Read") != fmt.Sprintf("%x", sent.Sum64()) {
		t.Error("upstream read something else than was sent")
	}
	if n, err := io.Copy(received, res.Body); err != nil || n != size {
		t.Errorf("%d of %d bytes came, %v", n, size, err)
	}
	if res.Trailer.Get("Written") != fmt.Sprintf("%x", received.Sum64()) {
		t.Errorf("what came is not what was sent; trailer %v", res.Trailer)
	}
}

// An upstream may answer before it has read the request. Whatever becomes of the rest, the connection to the client stays sane.
func TestAnswersOvertakeRequests(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Error(w, "too much", http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(upstream.Close)
	p, err := New(Options{Upstream: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	front := httptest.NewUnstartedServer(p)
	front.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&log, nil), slog.LevelError)
	front.Start()
	t.Cleanup(p.Close)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 20 {
				// A client that writes while the connection is closed on it gets an error in place of the answer.
				res, err := front.Client().Post(front.URL, "text/plain", io.LimitReader(rand.Reader, 1<<20))
				if err == nil {
					if res.StatusCode != http.StatusRequestEntityTooLarge {
						t.Errorf("early answer: %s", res.Status)
					}
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				res, err = front.Client().Get(front.URL)
				if err != nil {
					t.Errorf("the request after it: %v", err)
					continue
				}
				if body, err := io.ReadAll(res.Body); string(body) != "ok" || err != nil {
					t.Errorf("the request after it: %q, %v", body, err)
				}
				_ = res.Body.Close()
			}
		})
	}
	clients.Wait()
	front.Close()
	if log.Len() > 0 {
		t.Errorf("the server logged:\n%s", log.String())
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Answer-Sum")
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		w.Header().Set("X-Answer-Sum", "of "+r.Trailer.Get("X-Request-Sum"))
	}))
	r := request(t, "POST", front.URL, io.MultiReader(strings.NewReader("body"))) // of unknown length: chunked
	r.Trailer = http.Header{"X-Request-Sum": {"123"}}
	res, body := do(t, front, r)
	if body != "body" || res.Trailer.Get("X-Answer-Sum") != "of 123" {
		t.Errorf("body %q, trailer %v", body, res.Trailer)
	}
}

func TestInformationalAnswers(t *testing.T) {
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		body, _ := io.ReadAll(r.Body) // sends 100 Continue
		_, _ = w.Write(body)
	}))
	var codes []int
	r := request(t, "POST", front.URL, strings.NewReader("body"))
	r.Header.Set("Expect", "100-continue")
	front.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { codes = append(codes, code); return nil },
	}))
	res, body := do(t, front, r)
	if res.StatusCode != http.StatusOK || body != "body" || !slices.Equal(codes, []int{103, 100}) {
		t.Errorf("%d %q after %v, want 200 after [103 100]", res.StatusCode, body, codes)
	}
}

func TestWebsocket(t *testing.T) {
	front := inFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		for {
			kind, text, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if err := conn.Write(r.Context(), kind, append([]byte("echo "), text...)); err != nil {
				return
			}
		}
	}), func(o *Options) { o.PreserveHost = true })
	conn, _, err := websocket.Dial(t.Context(), front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for i := range 3 {
		if err := conn.Write(t.Context(), websocket.MessageText, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if _, text, err := conn.Read(t.Context()); err != nil || string(text) != fmt.Sprint("echo ", i) {
			t.Fatalf("got %q, %v", text, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestClientThatLeavesCancelsUpstream(t *testing.T) {
	var log bytes.Buffer
	arrived, cancelled := make(chan struct{}), make(chan struct{})
	front := inFront(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(cancelled)
	}), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-arrived; leave() }()
	if _, err := front.Client().Transport.RoundTrip(request(t, "GET", front.URL, nil).WithContext(ctx)); err == nil {
		t.Error("a request that was cancelled was answered")
	}
	<-cancelled
	front.Close()
	if log.Len() > 0 {
		t.Errorf("a client that left is no failure of the upstream: %s", log.String())
	}
}

func TestUpstreamFails(t *testing.T) {
	speaks := func(text string) string { // an upstream that reads a request, says this and closes
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}()
		return "http://" + l.Addr().String()
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hangs.Close)
	for _, c := range []struct {
		name, upstream string
		status         int
		want           []string
	}{
		{"nobody listens", "http://" + free.Addr().String(), 502,
			[]string{"Bad Gateway: http://" + free.Addr().String(), "connection refused", "Check that the upstream is running"}},
		{"unknown host", "http://nowhere.invalid", 502, []string{"http://nowhere.invalid", "cannot be resolved", "Check the name"}},
		{"closes at once", speaks(""), 502, []string{"closed the connection without an answer", "the upstream's own log"}},
		{"does not speak HTTP", speaks("220 mail.test ESMTP\r\n"), 502, []string{"did not answer", "that it speaks http"}},
		{"hangs", hangs.URL, 504, []string{"did not begin its answer within 50ms"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			front := inFrontOf(t, c.upstream, func(o *Options) {
				o.AnswerTimeout = 50 * time.Millisecond
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			res, body := do(t, front, request(t, "GET", front.URL+"/?secret", nil))
			if res.StatusCode != c.status || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the answer %q does not say %q", body, want)
				}
			}
			if !strings.Contains(log.String(), "upstream="+c.upstream) || strings.Contains(log.String(), "secret") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestBodyTooLarge(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(upstream.Close)
	p, err := New(Options{Upstream: upstream.URL})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.MaxBytesHandler(p, 10))
	t.Cleanup(func() { front.Close(); p.Close() })
	res, body := do(t, front, request(t, "POST", front.URL, strings.NewReader("0123456789a")))
	if res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, "at most 10 bytes") {
		t.Errorf("%s: %s", res.Status, body)
	}
}

func TestConnectIsRefused(t *testing.T) {
	front := inFront(t, http.NotFoundHandler())
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("status %s", res.Status)
	}
}
