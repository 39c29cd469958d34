package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options are the options of a proxy. Upstream is needed.
type Options struct {
	// Upstream is where requests go: http://host:port or https://host, with a path to put before every request's.
	Upstream string

	// PreserveHost sends the Host header as the client did. Default: the upstream's own host; the client's is in
	// X-Forwarded-Host.
	PreserveHost bool

	// Trusted are the networks of proxies in front of this one, whose X-Forwarded-* headers are handed on and added to.
	// Default: none.
	Trusted []netip.Prefix

	// AnswerTimeout bounds how long the upstream may take to begin its answer, once it has the request; more is answered with
	// 504. The body may take longer. Default: 1 min.
	AnswerTimeout time.Duration

	// DialTimeout bounds how long a connection to the upstream may take to be made. Default: 5 s.
	DialTimeout time.Duration

	// Log is told of every request that the upstream did not answer. Default: nothing is logged.
	Log *slog.Logger
}

// Proxy is an [http.Handler] that answers by the upstream. It is safe for concurrent use.
type Proxy struct {
	options   Options
	upstream  *url.URL
	transport *http.Transport
	reverse   httputil.ReverseProxy
}

// New makes a proxy. It does not connect: an upstream may be started later.
func New(o Options) (*Proxy, error) {
	upstream, err := ParseUpstream(o.Upstream)
	if err != nil {
		return nil, err
	}
	if o.AnswerTimeout < 0 || o.DialTimeout < 0 {
		return nil, errors.New("proxy: a time-out is negative; 0 takes the default")
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = time.Minute
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{options: o, upstream: upstream}
	p.transport = &http.Transport{
		DialContext:            (&net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    o.DialTimeout,
		ResponseHeaderTimeout:  o.AnswerTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true, // bodies pass as they are
		ForceAttemptHTTP2:      true,
	}
	p.reverse = httputil.ReverseProxy{
		Rewrite:       p.rewrite,
		Transport:     p.transport,
		FlushInterval: -1,
		BufferPool:    new(buffers),
		ErrorHandler:  p.failed,
		ErrorLog:      slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // bodies that broke off, mostly clients that left
	}
	return p, nil
}

// ParseUpstream reads an upstream's address.
func ParseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.RawQuery == "" &&
		u.Fragment == "" && u.User == nil {
		return u, nil
	}
	if strings.Contains(text, "@") {
		text = "(with a user or password in it)" // which must not end up in a log
	}
	return nil, fmt.Errorf("upstream %q is not an address: write http://host:port or https://host, such as http://127.0.0.1:5000",
		text)
}

// Close closes the connections to the upstream that are not in use.
func (p *Proxy) Close() { p.transport.CloseIdleConnections() }

// ServeHTTP answers by the upstream.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		http.Error(w, "CONNECT is not served here: this proxy stands before one service.", http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("Expect") != "" {
		w = &continuing{w}
	}
	p.reverse.ServeHTTP(w, r)
}

// continuing keeps the upstream's 100 Continue to itself. The server sends its own when the body is first read, which
// is when the upstream wants it: with both, a client gets one or two, as chance has it.
type continuing struct{ http.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (c *continuing) WriteHeader(status int) {
	if status != http.StatusContinue {
		c.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap serves [http.ResponseController].
func (c *continuing) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// rewrite makes the request that goes to the upstream.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as the client wrote it: it is the upstream's to read
	r.SetURL(p.upstream)
	if p.options.PreserveHost {
		r.Out.Host = r.In.Host
	}
	r.Out.Trailer = r.In.Trailer // filled in when the body has been read, after the copy was made
	p.forwarded(r)
}

// forwarded tells the upstream who asked.
func (p *Proxy) forwarded(r *httputil.ProxyRequest) {
	if p.trusts(r.In.RemoteAddr) {
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		r.SetXForwarded()
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
			if said := r.In.Header.Get(name); said != "" {
				r.Out.Header.Set(name, said)
			}
		}
		return
	}
	for name := range r.Out.Header {
		if saysWho(name) {
			delete(r.Out.Header, name)
		}
	}
	r.SetXForwarded()
}

// saysWho says whether a header claims who asked. Underscores count as hyphens, since CGI and WSGI make them the same.
func saysWho(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return strings.HasPrefix(name, "x-forwarded-") || name == "x-real-ip" || name == "forwarded"
}

func (p *Proxy) trusts(peer string) bool {
	address, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	ip := address.Addr().Unmap().WithZone("")
	for _, network := range p.options.Trusted {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// failed answers for an upstream that did not.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		http.Error(w, fmt.Sprintf("The body is too large: at most %d bytes are taken.", tooLarge.Limit),
			http.StatusRequestEntityTooLarge)
		return
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		w.WriteHeader(StatusClientGone)
		return
	}
	status, what, check := p.explain(err)
	p.options.Log.Error("upstream failed", "upstream", p.upstream.Redacted(), "status", status, "error", err)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, fmt.Sprintf("%s: %s %s\nCheck %s.", http.StatusText(status), p.upstream, what, check), status)
}

// StatusClientGone is what a log shows for a client that left before its answer. Nobody receives it.
const StatusClientGone = 499

// explain says what is wrong with the upstream, and what to look at.
func (p *Proxy) explain(err error) (status int, what, check string) {
	var (
		timeout, isNet = errors.AsType[net.Error](err)
		dns, isDNS     = errors.AsType[*net.DNSError](err)
		op, isOp       = errors.AsType[*net.OpError](err)
	)
	switch {
	case isDNS:
		return http.StatusBadGateway, fmt.Sprintf("has a host name that cannot be resolved (%s).", dns.Err),
			"the name in the upstream's address, and the name server"
	case isOp && op.Op == "dial":
		return http.StatusBadGateway, fmt.Sprintf("cannot be reached (%v).", op.Err),
			"that the upstream is running and listens there"
	case isNet && timeout.Timeout():
		return http.StatusGatewayTimeout, fmt.Sprintf("did not begin its answer within %v.", p.options.AnswerTimeout),
			"what the upstream is busy with, or raise the time-out"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusBadGateway, "closed the connection without an answer.", "the upstream's own log"
	}
	return http.StatusBadGateway, fmt.Sprintf("did not answer (%v).", err),
		"the upstream's own log, and that it speaks " + p.upstream.Scheme
}

// buffers are what bodies are copied through.
type buffers struct{ sync.Pool }

type buffer [32 << 10]byte

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte {
	if used, ok := b.Pool.Get().(*buffer); ok {
		return used[:]
	}
	return new(buffer)[:]
}

// Put implements [httputil.BufferPool].
func (b *buffers) Put(used []byte) { b.Pool.Put((*buffer)(used)) }
