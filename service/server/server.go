package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Options are the options of a server. Address and Handler are needed; all others have a default.
type Options struct {
	// Address is where to listen: host:port or :port. Port 0 takes a free one, see [Server.URL].
	Address string

	// Handler answers the requests.
	Handler http.Handler

	// TLS has connections encrypted, and speaks HTTP/2 as well. Default: they are plain.
	TLS *Certificates

	// Log is told of failures and of the stop. Default: nothing is logged.
	Log *slog.Logger

	// LogRequests logs each request at level info: without its query, which may hold secrets. Answers of 500 and above are
	// logged even without it.
	LogRequests bool

	// Drain is how long requests may go on after the stop. Default: 10 s.
	Drain time.Duration

	// HeaderTimeout bounds the reading of a request's headers, as a whole. Default: 10 s.
	HeaderTimeout time.Duration

	// Silence bounds how long a body may stand still: one read of a request's, one write of an answer's, which may take an
	// eighth more. Default: 1 min.
	Silence time.Duration

	// IdleTimeout bounds how long a connection is kept for the next request. Default: 2 min.
	IdleTimeout time.Duration

	// MaxHeaderBytes bounds a request's line and headers; more is answered with 431. Default: 64 KiB.
	MaxHeaderBytes int

	// MaxBodyBytes bounds a request's body; more is answered with 413. Default: no bound, since bodies are streamed and never
	// kept.
	MaxBodyBytes int64

	// MaxConnections bounds the open connections; more wait to be accepted. Default: 16,384.
	MaxConnections int
}

// Server listens on an address. Its methods are safe for concurrent use; it serves once.
type Server struct {
	options  Options
	listener net.Listener
	http     *http.Server
	inFlight atomic.Int64
}

// Listen takes the address. The server answers from [Server.Serve] on; close one that never serves.
func Listen(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, explain(o.Address, err)
	}
	s := &Server{options: o}
	s.listener = bounded(listener, o.MaxConnections, o.Silence)
	s.http = &http.Server{
		Handler:           s.watched(o.Handler),
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		// The standard library allows 4,096 bytes more than it is told.
		MaxHeaderBytes: max(1, o.MaxHeaderBytes-4096),
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	if o.TLS != nil {
		s.http.TLSConfig = o.TLS.Config()
	}
	return s, nil
}

func (o *Options) validate() error {
	if o.Handler == nil {
		return errors.New("server: no handler")
	}
	if o.Drain < 0 || o.HeaderTimeout < 0 || o.Silence < 0 || o.IdleTimeout < 0 {
		return errors.New("server: a time-out is negative; 0 takes the default")
	}
	if o.MaxHeaderBytes < 0 || o.MaxBodyBytes < 0 || o.MaxConnections < 0 {
		return errors.New("server: a bound is negative; 0 takes the default")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.Drain, 10*time.Second)
	orDefault(&o.HeaderTimeout, 10*time.Second)
	orDefault(&o.Silence, time.Minute)
	orDefault(&o.IdleTimeout, 2*time.Minute)
	orDefault(&o.MaxHeaderBytes, 64<<10)
	orDefault(&o.MaxConnections, 16384)
	return nil
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// URL is where the server answers, with the port that was taken. A server that listens on all addresses is named by this
// machine's own.
func (s *Server) URL() string {
	address := s.listener.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	if s.options.TLS != nil {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, fmt.Sprint(address.Port))
}

// Close stops at once: it cuts every connection.
func (s *Server) Close() error {
	return errors.Join(s.http.Close(), ignoreClosed(s.listener.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Serve answers requests until ctx ends. Then it takes no new connection, lets those in flight finish for as long as Drain
// says, and cuts what is left; [ErrCut] says that something was. Websockets and other upgraded connections count as in
// flight until they end.
func (s *Server) Serve(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s.http.BaseContext = func(net.Listener) context.Context { return work }
	ended := make(chan error, 1)
	go func() {
		if s.options.TLS != nil {
			ended <- s.http.ServeTLS(s.listener, "", "")
			return
		}
		ended <- s.http.Serve(s.listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.options.Log.Info("stopping", "in_flight", s.inFlight.Load(), "drain", s.options.Drain)
	drain, cancel := context.WithTimeout(work, s.options.Drain)
	defer cancel()
	err := s.http.Shutdown(drain)
	if err == nil {
		err = s.waitForUpgraded(drain)
	}
	if stopped := <-ended; !errors.Is(stopped, http.ErrServerClosed) {
		s.options.Log.Warn("listening ended by itself", "error", stopped)
	}
	if err == nil {
		s.options.Log.Info("stopped")
		return nil
	}
	left := s.inFlight.Load()
	_ = s.http.Close() // it can only say that a connection was closed already
	s.options.Log.Warn("stopped before all requests had ended", "cut", left, "drain", s.options.Drain)
	return ErrCut
}

// ErrCut is what Serve returns when requests outlasted the drain.
var ErrCut = errors.New("server: requests were still in flight at the end of the drain and were cut")

// waitForUpgraded waits for the handlers of upgraded connections, which the standard library's shutdown does not know.
func (s *Server) waitForUpgraded(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.inFlight.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
