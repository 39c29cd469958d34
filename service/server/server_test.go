package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a server that runs until stop, which says how Serve ended.
func running(t *testing.T, o Options) (s *Server, stop func() error) {
	t.Helper()
	o.Address = "127.0.0.1:0"
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

// dial opens a connection and writes to it.
func dial(t *testing.T, s *Server, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerTo reads the answer that comes on a connection.
func answerTo(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestListenErrors(t *testing.T) {
	s, _ := running(t, Options{Handler: ok})
	taken := strings.TrimPrefix(s.URL(), "http://")
	for _, c := range []struct{ address, want string }{
		{taken, "another program listens there; stop it or choose another port (0 takes a free one)"},
		{"8080", "missing port in address: give host:port or :port"},
		{"127.0.0.1:99999", "give host:port or :port"},
		{"192.0.2.1:0", "this machine does not have that address"},
	} {
		_, err := Listen(Options{Address: c.address, Handler: ok})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.address)) {
			t.Errorf("Listen(%q): %v, want %q", c.address, err, c.want)
		}
	}
	if _, err := Listen(Options{Address: "127.0.0.1:0"}); err == nil {
		t.Error("no error without a handler")
	}
	if _, err := Listen(Options{Address: "127.0.0.1:0", Handler: ok, Drain: -1}); err == nil {
		t.Error("no error for a negative drain")
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	arrived, finish := make(chan struct{}), make(chan struct{})
	s, stop := running(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-finish
		_, _ = fmt.Fprint(w, r.Context().Err())
	})})
	conn := dial(t, s, get)
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// It has begun to stop as soon as nobody can connect.
	for {
		c, err := net.Dial("tcp", conn.RemoteAddr().String())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(finish)
	body, err := io.ReadAll(answerTo(t, conn).Body)
	if err != nil || string(body) != "<nil>" {
		t.Errorf("the request in flight got %q, %v", body, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestDrainIsBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		upgrade bool
	}{{"request", false}, {"upgraded connection", true}} {
		t.Run(c.name, func(t *testing.T) {
			arrived, cut := make(chan struct{}), make(chan struct{})
			s, stop := running(t, Options{Drain: 20 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.upgrade {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
				}
				close(arrived)
				<-r.Context().Done()
				close(cut)
			})})
			dial(t, s, get)
			<-arrived
			if err := stop(); !errors.Is(err, ErrCut) {
				t.Errorf("Serve: %v, want ErrCut", err)
			}
			<-cut
		})
	}
}

func TestStopWaitsForUpgradedConnections(t *testing.T) {
	arrived := make(chan struct{})
	s, stop := running(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		close(arrived)
		_, _ = io.Copy(conn, conn) // until the client ends it
	})})
	conn := dial(t, s, get)
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	if _, err := io.WriteString(conn, "echo"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Errorf("cut while draining: %v", err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s, _ := running(t, Options{Handler: ok})
	conn := dial(t, s, "GET / HTTP/1.1\r\nHost: a\r\n")
	go func() {
		line := "X-Long: " + strings.Repeat("x", 1<<20) + "\r\n"
		for range 10 { // 10 MB; the server closes long before the end
			if _, err := io.WriteString(conn, line); err != nil {
				return
			}
		}
	}()
	if res := answerTo(t, conn); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("10 MB of headers: %s", res.Status)
	}
	long := dial(t, s, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("x", 60<<10)+"\r\n\r\n")
	if res := answerTo(t, long); res.StatusCode != http.StatusOK {
		t.Errorf("60 KiB of headers: %s", res.Status)
	}
}

func TestSlowHeaders(t *testing.T) {
	s, _ := running(t, Options{Handler: ok, HeaderTimeout: 20 * time.Millisecond})
	conn := dial(t, s, "GET / HTTP/1.1\r\nHost: a\r\n")
	if rest, err := io.ReadAll(conn); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection did not end: %q, %v", rest, err)
	}
}

func TestSilentBody(t *testing.T) {
	read := make(chan error, 1)
	s, _ := running(t, Options{Silence: 20 * time.Millisecond, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	})})
	dial(t, s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
	if err, isNet := errors.AsType[net.Error](<-read); !isNet || !err.Timeout() {
		t.Errorf("reading a body that stands still: %v, want a time-out", err)
	}
}

// A body that was read in time is no reason to cut the request afterwards, however long its answer takes.
func TestLongAnswerAfterABody(t *testing.T) {
	const silence = 20 * time.Millisecond
	s, _ := running(t, Options{Silence: silence, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(5 * silence):
		}
	})})
	conn := dial(t, s, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
	if res := answerTo(t, conn); res.StatusCode != http.StatusOK {
		t.Errorf("status %s", res.Status)
	}
}

func TestClientThatDoesNotRead(t *testing.T) {
	written := make(chan error, 1)
	s, _ := running(t, Options{Silence: 20 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				written <- err
				return
			}
		}
	})})
	dial(t, s, get)
	if err := <-written; err == nil {
		t.Error("writing to nobody ended without an error")
	}
}

func TestBodiesAreBounded(t *testing.T) {
	s, _ := running(t, Options{MaxBodyBytes: 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); !tooLarge {
				t.Errorf("reading: %v", err)
			}
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})})
	for _, c := range []struct {
		request string
		want    int
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 200},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789a", 413},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", 413},
	} {
		if res := answerTo(t, dial(t, s, c.request)); res.StatusCode != c.want {
			t.Errorf("%q: %s, want %d", c.request, res.Status, c.want)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s, _ := running(t, Options{Handler: ok, MaxConnections: 1})
	first := dial(t, s, get)
	answerTo(t, first)
	second := dial(t, s, get)
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(second), nil)
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	select {
	case <-answered:
		t.Error("a second connection was answered while the first was open")
	case <-time.After(50 * time.Millisecond):
	}
	_ = first.Close()
	if res := <-answered; res.StatusCode != http.StatusOK {
		t.Errorf("after the first had ended: %s", res.Status)
	}
}

func TestRequestLog(t *testing.T) {
	var mu sync.Mutex
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	}), nil))
	for _, c := range []struct {
		all    bool
		status int
		want   string // "" for no line
	}{
		{true, 200, "level=INFO msg=request method=GET path=/a status=200 bytes=4 "},
		{true, 503, "level=WARN msg=request method=GET path=/a status=503 "},
		{false, 503, "level=WARN msg=request method=GET path=/a status=503 "},
		{false, 429, ""},
	} {
		text.Reset()
		s, stop := running(t, Options{Log: log, LogRequests: c.all, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, "text")
		})})
		conn := dial(t, s, "GET /a?secret=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
		if err := stop(); err != nil {
			t.Error(err)
		}
		got := text.String()
		if strings.Contains(got, "secret") {
			t.Errorf("the query is in the log: %s", got)
		}
		if !strings.Contains(got, c.want) || (c.want == "" && strings.Contains(got, "msg=request")) {
			t.Errorf("status %d: log %q, want %q", c.status, got, c.want)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestCloseBeforeServe(t *testing.T) {
	s, err := Listen(Options{Address: "127.0.0.1:0", Handler: ok})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
