package httplimit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// TransportOptions are the options of a [Transport]. The zero value is ready to use: it keeps to what servers say.
type TransportOptions struct {
	// Base sends the requests. Default: http.DefaultTransport.
	Base http.RoundTripper

	// Limiter holds the requests of each key to a limit of your own. Default: none.
	Limiter *stint.Limiter

	// Key says which requests count together, for the Limiter and for what servers say. Default: those to one host.
	Key func(r *http.Request) string

	// Refuse returns a [*LimitedError] at once where a request would have to wait. Default: it waits.
	Refuse bool

	// MaxWait bounds how long one request waits in all; one that would have to wait longer, or past the deadline of its context,
	// is refused at once. Default: 1 minute.
	MaxWait time.Duration

	// MaxHold bounds for how long a server's word is kept, however far ahead it speaks. Default: 1 hour.
	MaxHold time.Duration

	// Spread lets requests that wait for a server go on at a random time within this after the wait, so that they do not all
	// come at once. Default: none.
	Spread time.Duration

	// Retries is how often a request that a server refused is sent again, after the wait that the server asked for or, if it
	// named none, 1, 2, 4 … seconds. A request is repeated only if its body can be had again (GetBody), after a 429 always and
	// after a 503 only with an idempotent method or an Idempotency-Key. The last answer is handed back as it is. At most 16.
	// Default: 0.
	Retries int

	// MaxKeys bounds the keys for which a server's word is kept. Default: 1,024. Beyond, the one that ends first is forgotten.
	MaxKeys int
}

func (o *TransportOptions) validate() error {
	switch {
	case o.MaxWait < 0 || o.MaxHold < 0 || o.Spread < 0:
		return errors.New("httplimit: MaxWait, MaxHold and Spread must be 0 or more")
	case o.Retries < 0 || o.Retries > maxRetries:
		return fmt.Errorf("httplimit: Retries %d: give 0 to %d", o.Retries, maxRetries)
	case o.Retries > 0 && o.Refuse:
		return errors.New("httplimit: Retries wait, and Refuse does not; take one")
	case o.MaxKeys < 0:
		return fmt.Errorf("httplimit: MaxKeys %d: must be 0 or more", o.MaxKeys)
	}
	return nil
}

const maxRetries = 16

// Transport is an http.RoundTripper for clients that keep to limits: to one of their own, and to what servers say in
// Retry-After, RateLimit, RateLimit-Remaining and X-RateLimit-Remaining. What a server says is believed within bounds, and
// not at all where a response comes from a cache. Safe for concurrent use.
type Transport struct {
	options TransportOptions
	holds   holds
}

// NewTransport makes a transport.
func NewTransport(o TransportOptions) (*Transport, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Base == nil {
		o.Base = http.DefaultTransport
	}
	if o.Key == nil {
		o.Key = func(r *http.Request) string { return strings.ToLower(r.URL.Host) }
	}
	if o.MaxWait == 0 {
		o.MaxWait = time.Minute
	}
	if o.MaxHold == 0 {
		o.MaxHold = time.Hour
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 1024
	}
	return &Transport{options: o, holds: holds{most: o.MaxKeys}}, nil
}

// LimitedError says that a request was not sent, because a limit forbids it for now.
type LimitedError struct {
	Key        string
	RetryAfter time.Duration // as in [stint.Decision]: Never, Unknown or a wait
	ByServer   bool          // the server said so, not the Limiter
	Err        error         // the Limiter's error, if there was one
}

func (e *LimitedError) Error() string {
	who := "the limiter"
	if e.ByServer {
		who = "the server"
	}
	text := fmt.Sprintf("httplimit: the request is held back for %q by %s", e.Key, who)
	switch {
	case e.Err != nil:
		return text + ": " + e.Err.Error()
	case e.RetryAfter == stint.Never:
		return text + ": it will never be admitted"
	case e.RetryAfter == stint.Unknown:
		return text
	}
	return text + fmt.Sprintf("; try again in %v", e.RetryAfter)
}

// Unwrap is the Limiter's error.
func (e *LimitedError) Unwrap() error { return e.Err }

// CloseIdleConnections passes on to the base, for http.Client.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.options.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip sends the request when the limits admit it. The error is a [*LimitedError] if they do not, the context's if it
// ended during the wait, and else that of the Limiter's store or of the base.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	key := t.options.Key(r)
	latest := time.Now().Add(t.options.MaxWait)
	if deadline, ok := r.Context().Deadline(); ok && deadline.Before(latest) {
		latest = deadline
	}
	sent := r
	for attempt := 0; ; attempt++ {
		h, err := t.await(r.Context(), key, latest)
		if err != nil {
			closeBody(sent.Body)
			return nil, err
		}
		response, err := t.options.Base.RoundTrip(sent)
		again := h.answered(response, time.Now(), t.options.MaxHold)
		if err != nil || attempt == t.options.Retries || !replayable(r, response) {
			return response, err
		}
		// How long the next attempt has to wait must be known before this answer is given up.
		if again <= 0 {
			again = time.Second << attempt
		}
		if time.Now().Add(again).After(latest) {
			return response, nil
		}
		_, _ = io.CopyN(io.Discard, response.Body, maxDrain) // so that the connection can be used again
		closeBody(response.Body)
		sent = r.WithContext(r.Context())
		if err := pause(r.Context(), again, nil); err != nil {
			return nil, err
		}
		if r.GetBody != nil {
			if sent.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// maxDrain is how much of a refusal's body is read before its connection is given up.
const maxDrain = 64 << 10

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}

// replayable says whether a refused request may be sent again.
func replayable(r *http.Request, response *http.Response) bool {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return false
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return true // nothing was done for it
	case http.StatusServiceUnavailable:
		switch r.Method {
		case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
			return true
		}
		return r.Header.Get("Idempotency-Key") != ""
	}
	return false
}

// await returns when a request of the key may be sent, having taken it from the limiter and from what the server leaves.
func (t *Transport) await(ctx context.Context, key string, latest time.Time) (*hold, error) {
	h := t.holds.of(key, time.Now())
	// A request that the server holds back must not cost the limiter anything, so look first.
	if err := t.awaitServer(ctx, key, h, latest, false); err != nil {
		return nil, err
	}
	if err := t.awaitLimiter(ctx, key, latest); err != nil {
		return nil, err
	}
	return h, t.awaitServer(ctx, key, h, latest, true)
}

// awaitServer returns when the server's word admits a request, which then counts as sent if take says so.
func (t *Transport) awaitServer(ctx context.Context, key string, h *hold, latest time.Time, take bool) error {
	var spread time.Duration
	var goOn time.Time // when this request goes on, after a wait
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := time.Now()
		wait, changed := h.wait(now, take && !now.Before(goOn))
		switch {
		case wait <= 0 && !now.Before(goOn):
			return nil
		case wait <= 0:
			// The hold has ended, perhaps before its time. Now for the part that sets this request apart from the others.
			goOn, wait = now.Add(spread), spread
		case t.options.Refuse || now.Add(wait).After(latest):
			return &LimitedError{Key: key, RetryAfter: wait, ByServer: true}
		default:
			spread = 0
			if most := min(t.options.Spread, latest.Sub(now.Add(wait))); most > 0 {
				spread = rand.N(most)
			}
			goOn = now.Add(wait + spread)
		}
		if err := pause(ctx, wait, changed); err != nil {
			return err
		}
	}
}

func (t *Transport) awaitLimiter(ctx context.Context, key string, latest time.Time) error {
	limiter := t.options.Limiter
	if limiter == nil {
		return nil
	}
	if t.options.Refuse {
		d, err := limiter.Take(ctx, key, 1)
		if err == nil && !d.Allowed {
			return &LimitedError{Key: key, RetryAfter: d.RetryAfter}
		}
		return err
	}
	bounded, cancel := context.WithDeadline(ctx, latest)
	defer cancel()
	err := limiter.Wait(bounded, key)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		err = stint.ErrDeadline
		fallthrough
	case errors.Is(err, stint.ErrDeadline) || errors.Is(err, stint.ErrQueueFull):
		return &LimitedError{Key: key, RetryAfter: stint.Unknown, Err: err}
	case errors.Is(err, stint.ErrNever):
		return &LimitedError{Key: key, RetryAfter: stint.Never, Err: err}
	}
	return err
}

// pause waits for d, or until something has changed, or returns the context's error.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
