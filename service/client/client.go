package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options are the options of a client. URL and Key are required.
type Options struct {
	URL string // of the service, such as http://127.0.0.1:8080
	Key string // an API key whose scopes say decide

	// HTTP sends the requests. Default: a client of its own that keeps connections.
	HTTP *http.Client

	// Timeout bounds a request, retries not included. Default: 2 s.
	Timeout time.Duration

	// Now is the clock by which refusals are remembered. Default: time.Now.
	Now func() time.Time
}

func (o *Options) validate() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("client: URL %q: write http://host:port", o.URL)
	case o.Key == "":
		return errors.New("client: no Key; make one with stint keys create USER --scope decide")
	case o.Timeout < 0:
		return errors.New("client: a negative Timeout")
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second}}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Client asks one service. Make it with [New].
type Client struct {
	options Options
	base    string
	batches batches
	refused refusals
}

// New is a client of a service. It asks nobody yet.
func New(o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Client{options: o, base: strings.TrimSuffix(o.URL, "/")}
	c.refused.init()
	return c, nil
}

// Close ends the connections that are kept. Calls under way end as they are.
func (c *Client) Close() {
	c.batches.under.Wait()
	c.options.HTTP.CloseIdleConnections()
}

// Call is one call: a Limit and a Key, or a Request that the service's policy decides.
type Call struct {
	Limit   string   `json:"limit,omitempty"` // its id in the policy
	Key     string   `json:"key,omitempty"`
	Plan    string   `json:"plan,omitempty"` // whose value of the limit holds
	Cost    *int64   `json:"cost,omitempty"` // nil: 1
	Request *Request `json:"request,omitempty"`

	// Idempotency is a name of the call's own, such as a UUID: under it the call is charged once, however often it is tried, for ten
	// minutes. Such a call goes by itself.
	Idempotency string `json:"-"`
}

// Cost is a cost for a [Call].
func Cost(n int64) *int64 { return &n }

// Request describes a request as the program sees it.
type Request struct {
	Method  string            `json:"method,omitempty"`
	Host    string            `json:"host,omitempty"`
	Path    string            `json:"path"`
	Address string            `json:"address,omitempty"` // the client's
	Headers map[string]string `json:"headers,omitempty"`
	Query   map[string]string `json:"query,omitempty"`
	User    string            `json:"user,omitempty"`
	Plan    string            `json:"plan,omitempty"`
	APIKey  string            `json:"api_key,omitempty"`
}

// Decision is what a call got.
type Decision struct {
	Allowed    bool
	Reason     string // admitted, limited, never, blocked, …
	Limit      string // the strictest limit's id; empty if none holds
	Value      string
	Capacity   int64
	Remaining  int64
	RetryAfter time.Duration // 0 if admitted; Unknown if it is never, or nobody knows
	ResetAfter time.Duration
	Degraded   bool
	Replayed   bool
	Remembered bool // the client has not asked: the same call was refused a moment ago

	Reservation string // of Reserve, if it is allowed
}

// Unknown is a wait that has no end: the reason says whether it is never, or whether nobody knows.
const Unknown time.Duration = -1

// Problem is what the service answered that is no decision.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return fmt.Sprintf("stint service: %d: %s", p.Status, p.Detail) }

// wireDecision is a decision as the service sends it.
type wireDecision struct {
	Decision
	Reason      string   `json:"reason"`
	RetryAfter  *float64 `json:"retry_after"`
	ResetAfter  *float64 `json:"reset_after"`
	Detail      string   `json:"detail"`
	Reservation string   `json:"reservation"`
}

func (w *wireDecision) decision() (Decision, error) {
	if w.Reason == "error" {
		return Decision{}, &Problem{http.StatusServiceUnavailable, "no decision", w.Detail}
	}
	d := w.Decision
	d.Reason, d.Reservation = w.Reason, w.Reservation
	d.RetryAfter, d.ResetAfter = span(w.RetryAfter), span(w.ResetAfter)
	return d, nil
}

// longestSpan is the longest time in whole microseconds: what is longer, or rounded up beyond it, is as good as that.
const longestSpan = math.MaxInt64 / int64(time.Microsecond)

// span is a time in seconds, rounded up to a microsecond.
func span(seconds *float64) time.Duration {
	if seconds == nil {
		return Unknown
	}
	if *seconds >= float64(longestSpan)/1e6 {
		return time.Duration(longestSpan) * time.Microsecond
	}
	micros := int64(*seconds*1e6 + 0.5) // the service sends whole ones
	return time.Duration(micros) * time.Microsecond
}

// post sends a body and reads the answer.
func (c *Client) post(ctx context.Context, path, idempotency string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	for try := 1; ; try++ {
		err := c.once(ctx, path, idempotency, text, into)
		var problem *Problem
		if err == nil || errors.As(err, &problem) || ctx.Err() != nil || idempotency == "" || try == 2 {
			return err
		}
	}
}

// maxAnswer bounds an answer.
const maxAnswer = 16 << 20

func (c *Client) once(ctx context.Context, path, idempotency string, text []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.options.Key)
	if idempotency != "" {
		r.Header.Set("Idempotency-Key", idempotency)
	}
	res, err := c.options.HTTP.Do(r)
	if err != nil {
		return fmt.Errorf("client: the service cannot be asked: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: the service's answer was cut off: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		problem := &Problem{Status: res.StatusCode, Title: res.Status}
		if json.Unmarshal(answer, problem) != nil || problem.Detail == "" {
			problem.Detail = "an answer that is not the service's: is the URL right?"
		}
		return problem
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("client: the service's answer cannot be read: %w", err)
	}
	return nil
}
