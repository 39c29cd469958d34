package load

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// Options are what a run is to do. URL and Rate are needed.
type Options struct {
	// URL is where requests go.
	URL string

	// Method of the requests. Default: GET, or POST if there is a body.
	Method string

	// Header of the requests. Host is taken as the request's host.
	Header http.Header

	// Body of each request. Default: none.
	Body []byte

	// Rate is how many requests are to be sent in how long: Units per Per, evenly spaced.
	Rate stint.Limit

	// Duration and Requests end the run, whichever comes first. Defaults: 1 min, and no bound on the number if there is one on
	// the duration; a number without a duration runs until all are sent.
	Duration time.Duration
	Requests int64

	// Connections bounds the requests in flight, each on a connection of its own. When all are busy, requests go out late, and
	// their latency says so. Default: 64.
	Connections int

	// Timeout bounds a request, from its sending to the end of its answer. Default: 30 s.
	Timeout time.Duration

	// OnLimit is what a refusal does to the requests after it. Default: nothing.
	OnLimit OnLimit

	// Expect are the limits to judge.
	Expect []stint.Limit

	// Progress is told how far the run is, every ProgressEvery (default 1 s), by one goroutine. Default: nobody is.
	Progress      func(Progress)
	ProgressEvery time.Duration

	// Transport sends the requests. Default: HTTP/1.1 on connections of the run's own.
	Transport http.RoundTripper

	expect []*stint.Limit // Expect, compiled
	window time.Duration  // the first expected limit's span, or the rate's
}

// OnLimit is what a refusal does to the requests after it. The zero value goes on as if nothing had happened.
type OnLimit struct {
	// Wait sends nothing for so long. The requests of that time are sent later, at the same rate.
	Wait time.Duration

	// RetryAfter waits for what the answer's Retry-After says instead, at most an hour; Wait is for answers that do not say it.
	RetryAfter bool
}

// ParseOnLimit reads go-on, wait:5s or retry-after.
func ParseOnLimit(text string) (OnLimit, error) {
	wait, isWait := strings.CutPrefix(text, "wait:")
	switch {
	case text == "go-on":
		return OnLimit{}, nil
	case text == "retry-after":
		return OnLimit{RetryAfter: true, Wait: time.Second}, nil
	case isWait:
		if d, err := time.ParseDuration(wait); err == nil && d > 0 {
			return OnLimit{Wait: d}, nil
		}
	}
	return OnLimit{}, fmt.Errorf("on-limit %q: use go-on, wait:5s (any time) or retry-after", text)
}

const (
	maxRequests    = 20_000_000 // each admitted one is kept, in 16 bytes
	maxConnections = 10_000
	maxSpan        = 366 * 24 * time.Hour
)

func (o *Options) validate() error {
	u, err := url.Parse(o.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return fmt.Errorf("address %q: write http://host:port/path or https://…", o.URL)
	}
	switch {
	case o.Rate.Units < 1 || o.Rate.Per <= 0 || o.Rate.Per > maxSpan:
		return fmt.Errorf("rate of %d per %v: must be at least 1, per at most a year", o.Rate.Units, o.Rate.Per)
	case o.Rate.Burst != 0 || o.Rate.Strategy != nil:
		return fmt.Errorf("rate %q: is only a number per time, such as 2000/min; bursts and strategies are for the expected limits",
			o.Rate)
	case o.Duration < 0 || o.Timeout < 0 || o.OnLimit.Wait < 0 || o.ProgressEvery < 0:
		return fmt.Errorf("a duration is negative")
	case o.Duration > maxSpan:
		return fmt.Errorf("duration %v: at most a year", o.Duration)
	case o.Requests < 0 || o.Requests > maxRequests:
		return fmt.Errorf("%d requests: must be 1 to %d; split a longer run", o.Requests, int64(maxRequests))
	case o.Connections < 0 || o.Connections > maxConnections:
		return fmt.Errorf("%d connections: must be 1 to %d", o.Connections, maxConnections)
	}
	if o.Duration == 0 && o.Requests == 0 {
		o.Duration = time.Minute
	}
	if o.Requests == 0 {
		o.Requests = maxRequests
		if planned := float64(o.Duration) / float64(o.Rate.Per) * float64(o.Rate.Units); planned > maxRequests {
			return fmt.Errorf("%v at %v would be %.0f requests: at most %d in one run; shorten it", o.Duration, o.Rate, planned,
				int64(maxRequests))
		}
	}
	if o.Method == "" {
		o.Method = http.MethodGet
		if len(o.Body) > 0 {
			o.Method = http.MethodPost
		}
	}
	if _, err := http.NewRequestWithContext(context.Background(), o.Method, o.URL, nil); err != nil {
		return err
	}
	if o.Connections == 0 {
		o.Connections = 64
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.ProgressEvery == 0 {
		o.ProgressEvery = time.Second
	}
	o.window = o.Rate.Per
	for _, limit := range o.Expect {
		compiled, err := limit.Compile()
		if err != nil {
			return err
		}
		o.expect = append(o.expect, compiled)
		o.window = o.expect[0].Per
	}
	return nil
}
