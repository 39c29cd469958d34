package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// watched is the handler with bounds on the request's body, counted while in flight, and logged.
func (s *Server) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		both := &struct { // in one piece of memory
			answer
			patientBody
		}{answer: answer{ResponseWriter: w}}
		answer := &both.answer
		start := time.Now()
		defer s.log(answer, r, start)
		if limit := s.options.MaxBodyBytes; limit > 0 {
			if r.ContentLength > limit {
				http.Error(answer, fmt.Sprintf("The body has %d bytes; at most %d are taken.", r.ContentLength, limit),
					http.StatusRequestEntityTooLarge)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		if r.Body != http.NoBody {
			body := &both.patientBody
			body.ReadCloser, body.conn, body.silence = r.Body, *http.NewResponseController(w), s.options.Silence
			defer body.end()
			r.Body = body
		}
		next.ServeHTTP(answer, r)
	})
}

func (s *Server) log(a *answer, r *http.Request, start time.Time) {
	level := slog.LevelInfo
	if a.status >= 500 {
		level = slog.LevelWarn
	} else if !s.options.LogRequests {
		return
	}
	s.options.Log.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", a.status),
		slog.Int64("bytes", a.bytes),
		slog.Duration("took", time.Since(start)),
		slog.String("peer", r.RemoteAddr),
	)
}

// patientBody is a body of which each read may take so long.
type patientBody struct {
	io.ReadCloser
	conn    http.ResponseController
	silence time.Duration

	mu    sync.Mutex
	ended bool // the connection belongs to the next request
}

// Read sets the deadline. At the body's end the server takes it away, since it then reads ahead only to notice that the client
// has gone.
func (b *patientBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if !b.ended {
		_ = b.conn.SetReadDeadline(time.Now().Add(b.silence)) // fails only where the connection is gone: Read will say it
	}
	b.mu.Unlock()
	return b.ReadCloser.Read(p)
}

// end is for readers that outlive the handler, as a reverse proxy's can: they may set no deadline any more.
func (b *patientBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// answer remembers what was answered, for the log.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status < 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status < 200 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Hijack hands the connection over to a handler that switches protocols.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.status = http.StatusSwitchingProtocols
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// Unwrap lets [http.ResponseController] reach the rest.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
